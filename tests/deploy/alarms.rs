//! The alarms: good PromQL, explained, and each held by a story in which it rings and rings alone.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::files::read;
use crate::prometheus::promtool;
use crate::yaml;

const RULES: &str = "deploy/prometheus/rules/keystile.yml";
const STORIES: &str = "deploy/prometheus/tests/keystile.yml";

/// Every alert of the deployment.
pub(crate) fn alerts() -> Vec<Value> {
    let rules = yaml::parse(&read(RULES));
    let groups = rules["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

fn names() -> BTreeSet<String> {
    alerts().iter().map(|alert| alert["alert"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn prometheus_takes_the_scrape_configuration_and_the_rules() {
    promtool(&["check", "config", "deploy/prometheus/prometheus.yml"]);
    promtool(&["check", "rules", RULES]);
}

#[test]
fn every_alarm_rings_when_it_should_and_no_other_rings_along() {
    promtool(&["test", "rules", STORIES]);
}

#[test]
fn every_alarm_has_a_story() {
    let told: BTreeSet<String> = read(STORIES)
        .split("alertname=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap().to_owned())
        .collect();
    assert_eq!(names(), told);
}

#[test]
fn every_alarm_says_what_it_means_and_what_to_do() {
    assert_eq!(names().len(), alerts().len(), "each name once");
    for alert in alerts() {
        let name = alert["alert"].as_str().unwrap();
        assert!(["page", "ticket"].contains(&alert["labels"]["severity"].as_str().unwrap()), "{name}");
        for (part, least) in [("summary", 15), ("description", 30), ("runbook", 60)] {
            let text = alert["annotations"][part].as_str().unwrap_or_default();
            assert!(text.len() >= least, "{name}: {part} is {text:?}");
        }
    }
}

#[test]
fn alarms_that_a_runbook_points_to_exist() {
    let (names, text) = (names(), read(RULES));
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric());
    for word in words.filter(|word| word.starts_with("Keystile") && *word != "Keystile") {
        assert!(names.contains(word), "no alarm is called {word}");
    }
}
