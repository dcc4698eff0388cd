//! The rules of revocation, each as the mutant that breaks it.

/// A rule that is broken. The model holds without any and fails with each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// A gateway serves as soon as it has loaded and registers with its next sync.
    RegistersAfterLoading,
    /// A gateway takes its first trust from a sync that it began before it loaded, as `Loading`.
    TrustsSyncBeforeLoad,
    /// A gateway acknowledges what it has received and not applied.
    AcknowledgesBeforeApplying,
    /// Trust is counted from the answer of a sync, not from its start.
    TrustFromAnswer,
    /// A gateway loads the table of an earlier epoch than it has seen.
    GoesBackToEarlierEpoch,
    /// A beat that arrives late overwrites a later one.
    LateBeatsCount,
    /// A gateway serves before SQL knows it.
    ServesUnremembered,
    /// The console reads the registry before it publishes.
    ReadsBeforePublishing,
    /// The registry that is read may be of another epoch, or of a server that nobody vouches for.
    ReadsAnyRegistry,
    /// Whoever answers judges a registry that it read before by what time it is now.
    JudgesLater,
    /// A change that was seen in the feed of an earlier epoch counts as published then.
    PublishedInAnyEpoch,
    /// An acknowledgement counts whatever the epoch that it was given in.
    AcknowledgementsOfAnyEpoch,
    /// Nobody looks at the stamps.
    NoStamp,
    /// The stamp names the process and not the history that it writes.
    StampWithoutHistory,
    /// The hub takes writes of any term and any epoch.
    NoFence,
    /// A publisher reads the table from SQL before it takes the epoch for it.
    TableBeforeEpoch,
    /// Whoever answers does not ask SQL whether the epoch is still the latest.
    NoLastLook,
    /// The registry of a new epoch counts as complete at once.
    YoungRegistryComplete,
    /// The registry of a new epoch counts as complete once all gateways that SQL knows are in it, and whatever epoch
    /// they have seen.
    YoungRegistryByPresence,
    /// A gateway is remembered in SQL whatever the epoch.
    RemembersUnderAnyEpoch,
    /// The console waits for as long as the gateway said, and not a margin longer.
    NoMargin,
}
