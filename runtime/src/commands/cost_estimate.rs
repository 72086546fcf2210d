//! `codeteam cost estimate`: what an environment of `template.yaml` costs in a month on AWS, beside what the architecture says.
//!
//! Sizes and counts are read from the template, prices from `deploy/prices.toml`, and what neither knows (how many jobs, how long) is
//! assumed, shown, and can be said otherwise. Models are not in it: `codeteam cost` has what they were paid.

mod prices;
mod template;

use std::collections::BTreeSet;

use anyhow::Context;
use domain::MicroUsd;
use serde::Serialize;

use crate::cli::{Estimate, Place, Pooler};
use crate::exit::{Failure, Outcome};
use crate::screen::{self, table};
use prices::Prices;
use template::{Resource, Template};

/// AWS counts a month like this.
const HOURS: f64 = 730.0;
const DAYS: f64 = HOURS / 24.0;

/// What is assumed, since the template does not say it.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
struct Assumptions {
    jobs_per_day: u32,
    genius_percent: u32,
    /// From claim to end, cloning and dependencies included.
    mechanic_minutes: f64,
    genius_minutes: f64,
    /// A worker's task before its first job and after its last, billed as well.
    start_minutes: f64,
    idle_minutes: f64,
    /// Clones, dependencies and models, by the NAT gateway.
    traffic_gb_per_job: f64,
    logs_gb_per_job: f64,
    /// What there is without any job.
    logs_gb: f64,
    balancer_capacity: f64,
    images_gb: f64,
}

impl Assumptions {
    fn of(args: &Estimate) -> Self {
        let usual = match args.env {
            Place::Prod => 100,
            Place::Dev => 20,
        };
        Self {
            jobs_per_day: args.jobs_per_day.unwrap_or(usual),
            genius_percent: args.genius_percent,
            mechanic_minutes: args.mechanic_minutes,
            genius_minutes: args.genius_minutes,
            start_minutes: 0.75,
            idle_minutes: 1.25,
            traffic_gb_per_job: 0.04,
            logs_gb_per_job: 0.001,
            logs_gb: 1.0,
            balancer_capacity: 0.1,
            images_gb: 2.0,
        }
    }

    fn jobs(&self) -> f64 {
        f64::from(self.jobs_per_day) * DAYS
    }

    fn said(&self) -> String {
        let traffic_mb = (self.traffic_gb_per_job * 1000.0).round();
        format!(
            "Assumed: {} jobs a day, one after the other, {} % of them for a genius;\na mechanic takes {} min, a genius {} min, a worker's task {} min to \
             start and {} min to end;\n{traffic_mb} MB a job through the NAT gateway.",
            self.jobs_per_day, self.genius_percent, self.mechanic_minutes, self.genius_minutes, self.start_minutes, self.idle_minutes,
        )
    }
}

/// One line of the estimate.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
struct Row {
    item: &'static str,
    quantity: String,
    microusd: MicroUsd,
    /// What the architecture's own table says, in whole dollars; `None` = it has no such row.
    architecture_usd: Option<u32>,
}

/// What would be otherwise, by how much.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
struct Choice {
    choice: &'static str,
    /// Less than nothing where it costs more.
    saves_microusd: MicroUsd,
    /// What it takes in exchange.
    but: &'static str,
}

#[derive(Debug, Serialize)]
struct Report {
    environment: Place,
    prices_as_of: String,
    assumptions: Assumptions,
    rows: Vec<Row>,
    total_microusd: MicroUsd,
    architecture_total_usd: u32,
    choices: Vec<Choice>,
}

/// Prints the estimate.
pub(crate) fn run(args: &Estimate, json: bool) -> Outcome {
    if (args.env, args.pooler) == (Place::Dev, Pooler::None) {
        return Err(Failure::Usage("dev has 20 connections, too few without a pooler: --pooler pgbouncer or rds-proxy".to_owned()));
    }
    let report = report(args)?;
    screen::data(json, &report, || shown(&report))?;
    Ok(())
}

/// The template as `args` choose it.
fn chosen(args: &Estimate) -> anyhow::Result<Template> {
    let architecture = if args.arm { "ARM64" } else { "X86_64" };
    Template::of(&[("Environment", args.env.name()), ("Pooler", args.pooler.name()), ("CpuArchitecture", architecture)])
}

fn report(args: &Estimate) -> anyhow::Result<Report> {
    let template = chosen(args)?;
    let prices = Prices::builtin()?;
    let assumptions = Assumptions::of(args);
    let rows = rows(&template, &prices, &assumptions, args.env)?;
    Ok(Report {
        environment: args.env,
        prices_as_of: prices.as_of().to_owned(),
        assumptions,
        total_microusd: rows.iter().map(|row| row.microusd).sum(),
        architecture_total_usd: match args.env {
            Place::Prod => 120,
            Place::Dev => 75,
        },
        choices: choices(&template, &prices, &assumptions, args)?,
        rows,
    })
}

/// A task on Fargate.
struct Task {
    vcpu: f64,
    memory_gb: f64,
    storage_gb: f64,
    arm: bool,
}

impl Task {
    fn of(task: &Resource) -> anyhow::Result<Self> {
        Ok(Self {
            vcpu: task.number("/Cpu")? / 1024.0,
            memory_gb: task.number("/Memory")? / 1024.0,
            storage_gb: task.number("/EphemeralStorage/SizeInGiB").unwrap_or(20.0),
            arm: task.text("/RuntimePlatform/CpuArchitecture")? == "ARM64",
        })
    }

    fn cost(&self, prices: &Prices, hours: f64) -> anyhow::Result<MicroUsd> {
        let of = if self.arm { "-arm" } else { "" };
        let vcpu = prices.of(&format!("fargate-vcpu{of}"), self.vcpu * hours)?;
        let memory = prices.of(&format!("fargate-memory{of}"), self.memory_gb * hours)?;
        Ok(vcpu + memory + prices.of("fargate-storage", (self.storage_gb - 20.0).max(0.0) * hours)?)
    }

    fn shown(&self, hours: f64) -> String {
        format!("{} vCPU, {} GB, {hours:.0} h", self.vcpu, self.memory_gb)
    }
}

/// The hours of all workers' tasks of a mode. Jobs that come one after the other wake as many workers each as the template has run at the
/// least while there is work.
fn worker_hours(template: &Template, assumptions: &Assumptions, genius: bool) -> anyhow::Result<f64> {
    let percent = f64::from(if genius { assumptions.genius_percent } else { 100 - assumptions.genius_percent });
    let minutes = if genius { assumptions.genius_minutes } else { assumptions.mechanic_minutes };
    let each = (minutes + assumptions.start_minutes + assumptions.idle_minutes) / 60.0;
    Ok(assumptions.jobs() * percent / 100.0 * each * least_busy(template)?.max(1.0))
}

/// `WORKERS_MIN_BUSY`, as the template sets it.
fn least_busy(template: &Template) -> anyhow::Result<f64> {
    let task = template.get("DashboardTask")?;
    let environment = task.properties.pointer("/ContainerDefinitions/0/Environment").and_then(serde_json::Value::as_array);
    let value = environment.into_iter().flatten().find(|pair| pair["Name"] == "WORKERS_MIN_BUSY").and_then(|pair| pair["Value"].as_str());
    value.and_then(|value| value.parse().ok()).context("the template sets no WORKERS_MIN_BUSY")
}

/// All workers of both modes.
fn workers(template: &Template, prices: &Prices, assumptions: &Assumptions) -> anyhow::Result<(f64, MicroUsd)> {
    let (mut hours, mut cost) = (0.0, MicroUsd::ZERO);
    for (name, genius) in [("MechanicTask", false), ("GeniusTask", true)] {
        let of_mode = worker_hours(template, assumptions, genius)?;
        hours += of_mode;
        cost += Task::of(template.get(name)?)?.cost(prices, of_mode)?;
    }
    Ok((hours, cost))
}

/// The metrics of our own that the CloudWatch dashboard shows, which are all that there are: a name and its dimensions each.
fn metrics(template: &Template) -> anyhow::Result<usize> {
    let body = template.get("Dashboard")?.text("/DashboardBody/Fn::Sub")?;
    let body: serde_json::Value = serde_json::from_str(body).context("the CloudWatch dashboard of the template")?;
    let shown = body["widgets"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|widget| widget["properties"]["metrics"].as_array().into_iter().flatten());
    let own = shown.filter_map(|metric| metric.as_array().filter(|words| words.first().is_some_and(|space| space == "AICodeTeam")));
    let names = own.map(|words| words.iter().filter_map(serde_json::Value::as_str).collect::<Vec<_>>());
    Ok(names.collect::<BTreeSet<_>>().len())
}

/// The addresses that the internet can reach: the NAT gateway's and one of the balancer for each of its zones.
fn addresses(template: &Template) -> usize {
    let subnets = template.find("PublicSubnetA").into_iter().chain(template.find("PublicSubnetB")).count();
    template.count("AWS::EC2::EIP") + template.count("AWS::ElasticLoadBalancingV2::LoadBalancer") * subnets
}

/// The price of the database by the hour, in one or two zones.
fn database(template: &Template, prices: &Prices, two_zones: bool) -> anyhow::Result<MicroUsd> {
    let database = template.get("Database")?;
    let zones = if two_zones { "-multi-az" } else { "" };
    let hours = prices.of(&format!("rds-{}{zones}", database.text("/DBInstanceClass")?), HOURS)?;
    Ok(hours + prices.of(&format!("rds-storage{zones}"), database.number("/AllocatedStorage")?)?)
}

fn in_two_zones(template: &Template) -> anyhow::Result<bool> {
    Ok(template.get("Database")?.properties["MultiAZ"] == true)
}

fn rows(template: &Template, prices: &Prices, assumptions: &Assumptions, place: Place) -> anyhow::Result<Vec<Row>> {
    let architecture = |prod, dev| match place {
        Place::Prod => prod,
        Place::Dev => dev,
    };
    let row = |item, quantity: String, microusd, architecture_usd| Row { item, quantity, microusd, architecture_usd };
    let of = |name: &str, quantity: f64| prices.of(name, quantity);
    let mut rows = Vec::new();

    let dashboard = Task::of(template.get("DashboardTask")?)?;
    let hours = HOURS * template.get("DashboardCapacity")?.number("/MinCapacity")?;
    rows.push(row("ECS Fargate (dashboard)", dashboard.shown(hours), dashboard.cost(prices, hours)?, architecture(Some(15), Some(10))));
    let (hours, cost) = workers(template, prices, assumptions)?;
    rows.push(row("ECS Fargate (workers)", format!("{hours:.0} h of tasks"), cost, architecture(Some(20), Some(5))));

    let two_zones = in_two_zones(template)?;
    let instance = template.get("Database")?;
    let zones = if two_zones { "Multi-AZ" } else { "Single-AZ" };
    let quantity = format!("{} {zones}, {} GB", instance.text("/DBInstanceClass")?, instance.number("/AllocatedStorage")?);
    rows.push(row("RDS PostgreSQL", quantity, database(template, prices, two_zones)?, architecture(Some(30), Some(12))));

    let balancers = template.count("AWS::ElasticLoadBalancingV2::LoadBalancer") as f64;
    let cost = of("balancer", balancers * HOURS)? + of("balancer-capacity", assumptions.balancer_capacity * HOURS)?;
    rows.push(row("ALB", format!("{balancers}, {} units", assumptions.balancer_capacity), cost, Some(16)));

    let gateways = template.count("AWS::EC2::NatGateway") as f64;
    let traffic = assumptions.jobs() * assumptions.traffic_gb_per_job;
    rows.push(row(
        "NAT Gateway",
        format!("{gateways}, {traffic:.0} GB"),
        of("nat", gateways * HOURS)? + of("nat-traffic", traffic)?,
        Some(32),
    ));

    let secrets = template.count("AWS::SecretsManager::Secret") as f64;
    // Each of the nine that a process may want, every five minutes.
    let calls = 9.0 * 12.0 * (HOURS + hours);
    let cost = of("secret", secrets)? + of("secret-call", calls)?;
    rows.push(row("Secrets Manager", format!("{secrets} secrets"), cost, architecture(Some(2), None)));

    let (metrics, alarms) = (metrics(template)? as f64, template.count("AWS::CloudWatch::Alarm") as f64);
    let logs = assumptions.logs_gb + assumptions.jobs() * assumptions.logs_gb_per_job;
    let cost = of("metric", metrics)? + of("alarm", alarms)? + of("log-gb", logs)?;
    rows.push(row("CloudWatch", format!("{metrics} metrics, {alarms} alarms, {logs:.1} GB of logs"), cost, architecture(Some(5), None)));

    if let Some(pooler) = template.find("PoolerTask") {
        let task = Task::of(pooler)?;
        let hours = HOURS * template.get("PoolerService")?.number("/DesiredCount")?;
        rows.push(row("Pooler (PgBouncer)", task.shown(hours), task.cost(prices, hours)?, None));
    }
    if template.count("AWS::RDS::DBProxy") > 0 {
        rows.push(row("Pooler (RDS Proxy)", "2 vCPU".to_owned(), of("rds-proxy", 2.0 * HOURS)?, None));
    }
    let addresses = addresses(template) as f64;
    rows.push(row("Public IPv4 addresses", addresses.to_string(), of("public-address", addresses * HOURS)?, None));
    let keys = template.count("AWS::KMS::Key") as f64;
    rows.push(row("KMS", format!("{keys} key"), of("key", keys)?, None));
    let zones = template.count("AWS::ServiceDiscovery::PrivateDnsNamespace") as f64;
    rows.push(row("DNS", format!("{zones} private zone"), of("hosted-zone", zones)?, None));
    rows.push(row("ECR", format!("{} GB of images", assumptions.images_gb), of("image-gb", assumptions.images_gb)?, None));
    let free = "within what AWS gives everybody".to_owned();
    rows.push(row("CloudFront, SQS, SNS, EventBridge, Budgets", free, MicroUsd::ZERO, None));
    Ok(rows)
}

fn choices(template: &Template, prices: &Prices, assumptions: &Assumptions, args: &Estimate) -> anyhow::Result<Vec<Choice>> {
    let of = |name: &str, quantity: f64| prices.of(name, quantity);
    let total = |args: Estimate| -> anyhow::Result<MicroUsd> {
        Ok(rows(&chosen(&args)?, prices, assumptions, args.env)?.into_iter().map(|row| row.microusd).sum())
    };
    let now = total(args.clone())?;
    let mut choices = Vec::new();
    let mut choice = |choice, saves_microusd, but| choices.push(Choice { choice, saves_microusd, but });
    if !args.arm {
        let arm = total(Estimate { arm: true, ..args.clone() })?;
        choice("CpuArchitecture=ARM64", now - arm, "images have to be built on or for ARM");
    }
    let (_, cost) = workers(template, prices, assumptions)?;
    let spot = of("fargate-spot-percent", cost.0 as f64 / 100_000_000.0)?;
    choice("workers on Fargate Spot", cost - spot, "AWS takes a task back with two minutes' notice; its job goes on elsewhere");
    let least = least_busy(template)?.max(1.0);
    if least > 1.0 {
        choice(
            "WORKERS_MIN_BUSY=1",
            MicroUsd((cost.0 as f64 * (1.0 - 1.0 / least)) as i64),
            "the architecture has two while there is work",
        );
    }
    if in_two_zones(template)? {
        let one = database(template, prices, true)? - database(template, prices, false)?;
        choice("database in one zone", one, "the architecture has two in prod; a failure of one then stops everything");
    }
    let traffic = assumptions.jobs() * assumptions.traffic_gb_per_job;
    let gateway = of("nat", HOURS)? + of("nat-traffic", traffic)?;
    choice(
        "NAT instance (t4g.nano) for the gateway",
        gateway - of("ec2-t4g.nano", HOURS)?,
        "an EC2 instance to keep patched, and no second one",
    );
    choice(
        "egress by IPv6 beside the gateway",
        of("nat-traffic", traffic)?,
        "saves its traffic at the most: GitHub has no IPv6, so the gateway stays",
    );
    // ECR's two, logs, Secrets Manager, SQS, SNS, ECS's three and KMS, in two zones.
    let endpoints = of("interface-endpoint", 10.0 * 2.0 * HOURS)?;
    choice("interface endpoints for AWS's services", MicroUsd::ZERO - endpoints, "models and GitHub need the gateway all the same");
    let balancer = addresses(template).saturating_sub(template.count("AWS::EC2::EIP")) as f64;
    choice("private balancer behind CloudFront", of("public-address", balancer * HOURS)?, "the architecture has it in public subnets");
    let poolers = [
        (Pooler::Pgbouncer, "Pooler=pgbouncer", "a new password is read when it starts, and it cannot use tokens of IAM"),
        (Pooler::RdsProxy, "Pooler=rds-proxy", "it takes a new password by itself, and tokens of IAM"),
    ];
    for (pooler, name, but) in poolers.into_iter().filter(|(pooler, ..)| *pooler != args.pooler) {
        choice(name, now - total(Estimate { pooler, ..args.clone() })?, but);
    }
    Ok(choices)
}

/// Dollars and cents.
fn dollars(amount: MicroUsd) -> String {
    let sign = if amount.0 < 0 { "-" } else { "" };
    let cents = (amount.0.unsigned_abs() + 5_000) / 10_000;
    format!("{sign}${}.{:02}", cents / 100, cents % 100)
}

fn shown(report: &Report) -> String {
    let architecture = |amount: Option<u32>| amount.map_or_else(|| "-".to_owned(), |amount| format!("${amount}"));
    let mut lines: Vec<Vec<String>> = report
        .rows
        .iter()
        .map(|row| vec![row.item.to_owned(), row.quantity.clone(), dollars(row.microusd), architecture(row.architecture_usd)])
        .collect();
    let sum = architecture(Some(report.architecture_total_usd));
    lines.push(vec!["total".to_owned(), String::new(), dollars(report.total_microusd), sum]);
    let costs = table(&["ITEM", "QUANTITY", "A MONTH", "ARCHITECTURE"], &lines);
    let lines: Vec<Vec<String>> =
        report.choices.iter().map(|choice| vec![choice.choice.to_owned(), dollars(choice.saves_microusd), choice.but.to_owned()]).collect();
    let choices = table(&["CHOICE", "WOULD SAVE", "BUT"], &lines);
    let (environment, prices, assumed) = (report.environment.name(), &report.prices_as_of, report.assumptions.said());
    format!("{costs}\n\n{choices}\n\n{environment}, list prices of us-east-1 as of {prices}, without models.\n{assumed}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(env: Place) -> Estimate {
        Estimate {
            env,
            jobs_per_day: None,
            genius_percent: 10,
            mechanic_minutes: 3.0,
            genius_minutes: 8.0,
            pooler: Pooler::Pgbouncer,
            arm: false,
        }
    }

    fn row(report: &Report, item: &str) -> Row {
        report.rows.iter().find(|row| row.item == item).unwrap_or_else(|| panic!("no row {item}")).clone()
    }

    #[test]
    fn the_rows_of_the_architecture_are_all_there_with_what_they_cost_by_the_price_table() {
        let prod = report(&args(Place::Prod)).unwrap();
        let rows: Vec<(&str, Option<u32>)> = prod.rows.iter().map(|row| (row.item, row.architecture_usd)).take(7).collect();
        let expected = [
            ("ECS Fargate (dashboard)", Some(15)),
            ("ECS Fargate (workers)", Some(20)),
            ("RDS PostgreSQL", Some(30)),
            ("ALB", Some(16)),
            ("NAT Gateway", Some(32)),
            ("Secrets Manager", Some(2)),
            ("CloudWatch", Some(5)),
        ];
        assert_eq!(rows, expected);
        // 0.5 vCPU and 1 GB for 730 hours: 365 x $0.04048 + 730 x $0.004445.
        let dashboard = row(&prod, "ECS Fargate (dashboard)");
        assert_eq!((dashboard.quantity.as_str(), dashboard.microusd), ("0.5 vCPU, 1 GB, 730 h", MicroUsd(14_775_200 + 3_244_850)));
        // 730 x $0.072 + 20 x $0.23.
        let database = row(&prod, "RDS PostgreSQL");
        assert_eq!((database.quantity.as_str(), database.microusd), ("db.t3.small Multi-AZ, 20 GB", MicroUsd(52_560_000 + 4_600_000)));
        assert_eq!(prod.total_microusd, prod.rows.iter().map(|row| row.microusd).sum());
        let dev = report(&args(Place::Dev)).unwrap();
        assert_eq!(row(&dev, "RDS PostgreSQL").microusd, MicroUsd(13_140_000 + 2_300_000));
        assert!(dev.total_microusd < prod.total_microusd);
    }

    #[test]
    fn workers_cost_what_their_jobs_take_and_nothing_without_jobs() {
        let of = |jobs| report(&Estimate { jobs_per_day: Some(jobs), ..args(Place::Dev) }).unwrap();
        assert_eq!(row(&of(0), "ECS Fargate (workers)").microusd, MicroUsd::ZERO);
        let (one, ten) = (row(&of(10), "ECS Fargate (workers)").microusd.0, row(&of(100), "ECS Fargate (workers)").microusd.0);
        assert!((ten - 10 * one).abs() < 100, "{one} {ten}");
        // In prod two workers come for each job that comes alone.
        let prod = report(&Estimate { jobs_per_day: Some(10), ..args(Place::Prod) }).unwrap();
        assert!((row(&prod, "ECS Fargate (workers)").microusd.0 - 2 * one).abs() < 100);
    }

    #[test]
    fn a_choice_saves_the_difference_between_two_estimates() {
        let prod = report(&args(Place::Prod)).unwrap();
        let saves = |name: &str| prod.choices.iter().find(|choice| choice.choice == name).expect("the choice is there").saves_microusd;
        let arm = report(&Estimate { arm: true, ..args(Place::Prod) }).unwrap();
        assert_eq!(saves("CpuArchitecture=ARM64"), prod.total_microusd - arm.total_microusd);
        let proxy = report(&Estimate { pooler: Pooler::RdsProxy, ..args(Place::Prod) }).unwrap();
        assert_eq!(saves("Pooler=rds-proxy"), prod.total_microusd - proxy.total_microusd);
        assert!(saves("Pooler=rds-proxy") < MicroUsd::ZERO, "RDS Proxy costs more than PgBouncer");
        assert_eq!(saves("database in one zone"), MicroUsd(26_280_000 + 2_300_000));
    }

    #[test]
    fn cents_are_rounded() {
        assert_eq!(["$18.02", "-$0.01", "$0.00"], [MicroUsd(18_020_050), MicroUsd(-9_999), MicroUsd(4_999)].map(dollars));
    }
}
