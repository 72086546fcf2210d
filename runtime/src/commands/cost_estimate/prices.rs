//! What AWS asks: the rows of `deploy/prices.toml`.

use std::collections::BTreeMap;

use anyhow::Context;
use domain::MicroUsd;
use serde::Deserialize;

const TABLE: &str = include_str!("../../../../deploy/prices.toml");

#[derive(Deserialize)]
struct Table {
    price: Vec<Row>,
}

/// What one unit of something costs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    microusd: i64,
    /// What is counted, in words.
    #[serde(rename = "unit")]
    _unit: String,
    #[serde(rename = "source")]
    _source: String,
    as_of: String,
}

/// The price table.
pub(super) struct Prices(BTreeMap<String, Row>);

impl Prices {
    /// The table that this program was built with.
    pub(super) fn builtin() -> anyhow::Result<Self> {
        let table: Table = toml::from_str(TABLE).context("deploy/prices.toml")?;
        Ok(Self(table.price.into_iter().map(|row| (row.name.clone(), row)).collect()))
    }

    /// What `quantity` of `name` costs, rounded to the micro-dollar.
    pub(super) fn of(&self, name: &str, quantity: f64) -> anyhow::Result<MicroUsd> {
        let row = self.0.get(name).with_context(|| format!("deploy/prices.toml has no price of {name}"))?;
        Ok(MicroUsd((row.microusd as f64 * quantity).round() as i64))
    }

    /// The day of the oldest row.
    pub(super) fn as_of(&self) -> &str {
        self.0.values().map(|row| row.as_of.as_str()).min().unwrap_or("-")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_a_day_a_source_and_a_price_above_nothing() {
        let prices = Prices::builtin().unwrap();
        for row in prices.0.values() {
            let is_day = time::Date::parse(&row.as_of, time::macros::format_description!("[year]-[month]-[day]")).is_ok();
            assert!(
                is_day && row.microusd > 0 && !row._unit.is_empty() && row._source.starts_with("https://aws.amazon.com/"),
                "{}",
                row.name
            );
        }
        assert_eq!(prices.of("fargate-vcpu", 730.0).unwrap(), MicroUsd(29_550_400));
        assert!(prices.of("lambda", 1.0).unwrap_err().to_string().contains("lambda"));
    }
}
