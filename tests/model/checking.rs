//! Checking a model: all of it where it should hold, until it fails where a rule is broken.
//!
//! Prints how many states there were; the path to a failure is printed where one was not expected.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::hash::Hash;

use stateright::{Checker, Expectation, HasDiscoveries, Model};

/// In which order states are looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    /// The shortest path to a failure comes first.
    Shortest,
    /// Any path will do: sooner found where it is long.
    Any,
}

/// Looks at every state: what must always hold does, and what should be possible is.
pub(crate) fn holds<M>(model: M)
where
    M: Model + Debug + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + Debug + PartialEq + Send + Sync + 'static,
{
    let what = format!("{model:?}");
    let never = BTreeSet::from(["nothing ends this search"]);
    let checker = model.checker().threads(2).finish_when(HasDiscoveries::AllOf(never)).spawn_bfs().join();
    println!("{} states, {} steps deep: {what}", checker.unique_state_count(), checker.max_depth());
    for property in checker.model().properties() {
        let found = checker.discovery(property.name);
        let failed = property.expectation.discovery_is_failure() == found.is_some();
        let path = found.filter(|_| property.expectation == Expectation::Always);
        let path = path.map(|path| path.into_actions());
        assert!(!failed, "“{}” fails in {what}: {path:#?}", property.name);
    }
}

/// Looks until `property` fails, which it must.
pub(crate) fn breaks<M>(property: &'static str, order: Order, model: M)
where
    M: Model + Debug + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + Debug + PartialEq + Send + Sync + 'static,
{
    let what = format!("{model:?}");
    let builder = model.checker().threads(2).finish_when(HasDiscoveries::AllOf(BTreeSet::from([property])));
    match order {
        Order::Shortest => broken(property, &builder.spawn_bfs().join(), &what),
        Order::Any => broken(property, &builder.spawn_dfs().join(), &what),
    }
}

fn broken<M: Model>(property: &'static str, checker: &impl Checker<M>, what: &str)
where
    M::State: Clone + Debug + Hash + PartialEq,
    M::Action: Clone + Debug + PartialEq,
{
    let path = checker.discovery(property);
    let steps = path.as_ref().map_or(0, |path| path.clone().into_actions().len());
    println!("{} states, fails after {steps} steps: {what}", checker.unique_state_count());
    if std::env::var_os("KEYSTILE_MODEL_PATHS").is_some()
        && let Some(path) = &path
    {
        println!("{:#?}", path.clone().into_actions());
    }
    assert!(
        path.is_some(),
        "“{property}” holds without the rule, so that the model does not need it: {what}"
    );
}
