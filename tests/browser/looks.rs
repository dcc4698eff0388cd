//! How a person's browser shows a page: how wide it is, which colours the system prefers, whether scripts run.

/// How wide the window is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    Desktop,
    Phone,
    /// So many pixels.
    Of(u32),
}

/// What the person's system prefers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Theme {
    Light,
    Dark,
}

/// Whether the browser runs the page's scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scripts {
    On,
    Off,
}

/// Width and theme together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Looks(pub(crate) Width, pub(crate) Theme);

impl Looks {
    pub(crate) const DESKTOP: Looks = Looks(Width::Desktop, Theme::Light);

    /// The four in which every page is looked at.
    pub(crate) const ALL: [Looks; 4] = [
        Looks(Width::Desktop, Theme::Light),
        Looks(Width::Desktop, Theme::Dark),
        Looks(Width::Phone, Theme::Light),
        Looks(Width::Phone, Theme::Dark),
    ];

    /// As in the names of screenshots: `phone-dark`.
    pub(crate) fn name(self) -> String {
        format!("{:?}-{:?}", self.0, self.1).to_lowercase()
    }
}

impl Width {
    /// Width and height of the window's inside.
    pub(crate) fn pixels(self) -> (u32, u32) {
        match self {
            Width::Desktop => (1280, 900),
            Width::Phone => (360, 780),
            Width::Of(pixels) => (pixels, 800),
        }
    }
}
