//! What the supervisor that started the process is told of its life, by the protocol of sd_notify(3).
//!
//! Promises that nothing is said where nobody asked (no `NOTIFY_SOCKET`), nothing twice in a row, and nothing after
//! leaving began. Never fails: a supervisor that cannot be told is a warning.

use sd_notify::NotifyState;

/// A turn in the life of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// It serves: for the first time, or again after a reload, taken over or not.
    Serving,
    /// It reads its configuration again.
    Reloading,
    /// It leaves.
    Leaving,
}

/// The line to the supervisor.
#[derive(Debug, Default)]
pub(super) struct Supervisor {
    told: Option<News>,
}

impl Supervisor {
    /// Tells it, unless it knows.
    pub(super) fn tell(&mut self, news: News) {
        if !self.is_new(news) {
            return;
        }
        self.told = Some(news);
        // One datagram to a socket on this machine, that is read by nobody but a service manager: it does not wait.
        if let Err(error) = sd_notify::notify(&message(news)) {
            tracing::warn!(%error, "the supervisor named in NOTIFY_SOCKET could not be told: {news:?}");
        }
    }

    /// What it was told last.
    #[cfg(test)]
    pub(super) fn told(&self) -> Option<News> {
        self.told
    }

    fn is_new(&self, news: News) -> bool {
        self.told != Some(news) && self.told != Some(News::Leaving)
    }
}

fn message(news: News) -> Vec<NotifyState<'static>> {
    match news {
        News::Serving => vec![NotifyState::Ready],
        // Without the instant systemd takes `READY=1` for an answer to an earlier reload. There is always one: the
        // clock is part of every Linux.
        News::Reloading => {
            std::iter::once(NotifyState::Reloading).chain(NotifyState::monotonic_usec_now().ok()).collect()
        }
        News::Leaving => vec![NotifyState::Stopping],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reload_says_when_it_began() {
        let told: Vec<String> = message(News::Reloading).iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 2);
        assert_eq!(told[0], "RELOADING=1");
        assert!(told[1].starts_with("MONOTONIC_USEC="), "{told:?}");
    }

    #[test]
    fn nothing_is_told_twice_in_a_row_and_nothing_once_it_leaves() {
        let mut supervisor = Supervisor::default();
        assert!(supervisor.is_new(News::Serving));
        supervisor.told = Some(News::Serving);
        assert!(!supervisor.is_new(News::Serving) && supervisor.is_new(News::Reloading));
        supervisor.told = Some(News::Leaving);
        assert!(!supervisor.is_new(News::Serving) && !supervisor.is_new(News::Reloading));
    }
}
