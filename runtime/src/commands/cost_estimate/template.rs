//! What the deployment template says, for one choice of parameters: the resources that there are, with plain values where the
//! template has parameters, mappings and conditions. What only AWS knows, such as an address, is no text.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value, json};

/// The template's root and the applications that it names.
const FILES: &[(&str, &str)] = &[
    ("template.yaml", include_str!("../../../../template.yaml")),
    ("deploy/access.yaml", include_str!("../../../../deploy/access.yaml")),
    ("deploy/data.yaml", include_str!("../../../../deploy/data.yaml")),
    ("deploy/edge.yaml", include_str!("../../../../deploy/edge.yaml")),
    ("deploy/messages.yaml", include_str!("../../../../deploy/messages.yaml")),
    ("deploy/monitoring.yaml", include_str!("../../../../deploy/monitoring.yaml")),
    ("deploy/network.yaml", include_str!("../../../../deploy/network.yaml")),
    ("deploy/services.yaml", include_str!("../../../../deploy/services.yaml")),
];

/// A resource: its name, its type, and its properties.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Resource {
    pub name: String,
    pub kind: String,
    pub properties: Value,
}

/// All resources for one choice of parameters.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Template(Vec<Resource>);

impl Template {
    /// The template that this program was built with.
    ///
    /// # Errors
    /// A parameter that nobody knows, or a value that it cannot have.
    pub(super) fn of(parameters: &[(&str, &str)]) -> anyhow::Result<Self> {
        Self::read(&|name| FILES.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned()), parameters)
    }

    fn read(files: &dyn Fn(&str) -> Option<String>, parameters: &[(&str, &str)]) -> anyhow::Result<Self> {
        let given = parameters.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let mut all = Vec::new();
        collect(files, "template.yaml", given, &mut all)?;
        Ok(Self(all))
    }

    /// The resource called `name`, where there is one for these parameters.
    pub(super) fn find(&self, name: &str) -> Option<&Resource> {
        self.0.iter().find(|resource| resource.name == name)
    }

    pub(super) fn get(&self, name: &str) -> anyhow::Result<&Resource> {
        self.find(name).with_context(|| format!("template.yaml has no {name}"))
    }

    /// How many resources of the type `kind` there are.
    pub(super) fn count(&self, kind: &str) -> usize {
        self.0.iter().filter(|resource| resource.kind == kind).count()
    }
}

impl Resource {
    /// A property, by its path; a number may be text.
    pub(super) fn number(&self, path: &str) -> anyhow::Result<f64> {
        let value = self.properties.pointer(path);
        let number = value.and_then(|value| value.as_f64().or_else(|| value.as_str()?.parse().ok()));
        number.with_context(|| format!("{}{path} of the template is no number", self.name))
    }

    pub(super) fn text(&self, path: &str) -> anyhow::Result<&str> {
        self.properties.pointer(path).and_then(Value::as_str).with_context(|| format!("{}{path} of the template is no text", self.name))
    }
}

fn collect(
    files: &dyn Fn(&str) -> Option<String>,
    name: &str,
    mut given: Map<String, Value>,
    all: &mut Vec<Resource>,
) -> anyhow::Result<()> {
    let text = files(name).with_context(|| format!("the template names {name}, which is not built in"))?;
    let mut documents = Yaml::load_from_str(&text).with_context(|| format!("{name} is no YAML"))?;
    let document = plain(documents.pop().with_context(|| format!("{name} is empty"))?)?;
    let mut file = File { document: &document, parameters: BTreeMap::new() };
    for (parameter, declared) in document["Parameters"].as_object().into_iter().flatten() {
        let value = given.remove(parameter).or_else(|| declared.get("Default").cloned());
        let value = value.with_context(|| format!("{name}: nobody gives {parameter}"))?;
        if let Some(allowed) = declared["AllowedValues"].as_array().filter(|allowed| value.is_string() && !allowed.contains(&value)) {
            bail!("{parameter} is {value}: expected one of {}", Value::Array(allowed.clone()));
        }
        file.parameters.insert(parameter.clone(), value);
    }
    if let Some(unknown) = given.keys().next() {
        bail!("{name} has no parameter {unknown}");
    }
    for (resource, body) in document["Resources"].as_object().into_iter().flatten() {
        if body["Condition"].as_str().is_some_and(|condition| !file.holds(&document["Conditions"][condition])) {
            continue;
        }
        let properties = file.value(&body["Properties"]).unwrap_or_default();
        let kind = body["Type"].as_str().unwrap_or_default();
        if kind == "AWS::Serverless::Application" {
            let location = properties["Location"].as_str().unwrap_or_default();
            collect(files, location, properties["Parameters"].as_object().cloned().unwrap_or_default(), all)?;
        }
        all.push(Resource { name: resource.clone(), kind: kind.to_owned(), properties });
    }
    Ok(())
}

/// YAML as JSON, with CloudFormation's short forms written out: `!Ref X` is `{"Ref": "X"}`, `!If […]` is `{"Fn::If": […]}`.
fn plain(yaml: Yaml<'_>) -> anyhow::Result<Value> {
    Ok(match yaml {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(is)) => json!(is),
        Yaml::Value(Scalar::Integer(number)) => json!(number),
        Yaml::Value(Scalar::FloatingPoint(number)) => json!(number.into_inner()),
        Yaml::Value(Scalar::String(text)) => json!(text),
        Yaml::Sequence(all) => Value::Array(all.into_iter().map(plain).collect::<anyhow::Result<_>>()?),
        Yaml::Mapping(all) => {
            let pairs = all.into_iter().map(|(key, value)| {
                let key = key.as_str().context("a key of the template is no text")?.to_owned();
                Ok::<_, anyhow::Error>((key, plain(value)?))
            });
            Value::Object(pairs.collect::<anyhow::Result<_>>()?)
        }
        Yaml::Tagged(tag, of) => {
            let name = match tag.suffix.as_str() {
                short @ ("Ref" | "Condition") => short.to_owned(),
                short => format!("Fn::{short}"),
            };
            json!({ name: plain(*of)? })
        }
        Yaml::Representation(..) | Yaml::Alias(_) | Yaml::BadValue => bail!("the template has YAML that CloudFormation does not know"),
    })
}

struct File<'a> {
    document: &'a Value,
    parameters: BTreeMap<String, Value>,
}

impl File<'_> {
    /// `value` with everything resolved that the template itself says; `None` = it is to be left out.
    fn value(&self, value: &Value) -> Option<Value> {
        match value {
            Value::Array(all) => Some(Value::Array(all.iter().filter_map(|one| self.value(one)).collect())),
            Value::Object(all) => match all.iter().next().filter(|_| all.len() == 1) {
                Some((function, of)) if function == "Ref" => match of.as_str().unwrap_or_default() {
                    "AWS::NoValue" => None,
                    name => Some(self.parameters.get(name).unwrap_or(value).clone()),
                },
                Some((function, of)) if function == "Fn::If" => self.value(if self.named(&of[0]) { &of[1] } else { &of[2] }),
                Some((function, of)) if function == "Fn::FindInMap" => {
                    let keys: Vec<Value> = of.as_array().into_iter().flatten().filter_map(|key| self.value(key)).collect();
                    let key = |at: usize| keys.get(at).and_then(Value::as_str).unwrap_or_default();
                    Some(self.document["Mappings"][key(0)][key(1)][key(2)].clone())
                }
                _ => Some(Value::Object(all.iter().filter_map(|(key, one)| Some((key.clone(), self.value(one)?))).collect())),
            },
            plain => Some(plain.clone()),
        }
    }

    fn named(&self, condition: &Value) -> bool {
        self.holds(&self.document["Conditions"][condition.as_str().unwrap_or_default()])
    }

    fn holds(&self, condition: &Value) -> bool {
        let Some((function, of)) = condition.as_object().and_then(|all| all.iter().next()) else { return false };
        let mut all = of.as_array().into_iter().flatten();
        match function.as_str() {
            "Condition" => self.named(of),
            "Fn::Equals" => self.value(&of[0]) == self.value(&of[1]),
            "Fn::Not" => !self.holds(&of[0]),
            "Fn::And" => all.all(|one| self.holds(one)),
            "Fn::Or" => all.any(|one| self.holds(one)),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(parameters: &[(&str, &str)]) -> Template {
        Template::of(parameters).unwrap()
    }

    #[test]
    fn parameters_mappings_and_conditions_are_resolved_through_the_applications() {
        let (prod, dev) = (of(&[("Environment", "prod")]), of(&[("Environment", "dev"), ("Pooler", "rds-proxy")]));
        let class = |template: &Template| template.get("Database").unwrap().text("/DBInstanceClass").unwrap().to_owned();
        assert_eq!((class(&prod), class(&dev)), ("db.t3.small".to_owned(), "db.t3.micro".to_owned()));
        assert_eq!((prod.count("AWS::RDS::DBProxy"), dev.count("AWS::RDS::DBProxy")), (0, 1));
        assert_eq!((prod.find("PoolerTask").is_some(), dev.find("PoolerTask").is_some()), (true, false));
        assert_eq!(prod.get("DashboardService").unwrap().properties.get("DesiredCount"), None);
    }

    #[test]
    fn a_parameter_that_the_template_does_not_know_is_an_error() {
        assert!(Template::of(&[("Enviroment", "prod")]).unwrap_err().to_string().contains("Enviroment"));
        let error = Template::of(&[("Environment", "prod"), ("Pooler", "none of them")]).unwrap_err();
        assert_eq!(error.to_string(), r#"Pooler is "none of them": expected one of ["pgbouncer","rds-proxy","none"]"#);
    }

    #[test]
    fn short_forms_are_written_out() {
        let text = "Resources:\n  Queue:\n    Type: X\n    Properties: { A: !Sub \"${B}\", C: !GetAtt D.E, F: !Join [\",\", [!Ref G]] }\n";
        let template = Template::read(&|_| Some(text.to_owned()), &[]).unwrap();
        let expected = json!({ "A": { "Fn::Sub": "${B}" }, "C": { "Fn::GetAtt": "D.E" }, "F": { "Fn::Join": [",", [{ "Ref": "G" }]] } });
        assert_eq!(template.get("Queue").unwrap().properties, expected);
    }
}
