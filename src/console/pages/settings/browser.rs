//! A browser in words from its `User-Agent`: enough to recognise one's own, nothing to rely on.
//!
//! Promises words of its own only: nothing of the field, which anybody can write into, is shown.

/// "Firefox on Linux", or as much of it as is known.
pub(crate) fn words(user_agent: &str) -> String {
    match (browser(user_agent), system(user_agent)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(browser), None) => browser.to_owned(),
        (None, Some(system)) => format!("A browser on {system}"),
        (None, None) => "An unknown browser".to_owned(),
    }
}

/// Most browsers name others for compatibility: whoever is named by fewest comes first.
fn browser(user_agent: &str) -> Option<&'static str> {
    const MARKS: [(&str, &str); 12] = [
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("SamsungBrowser/", "Samsung Internet"),
        ("Vivaldi/", "Vivaldi"),
        ("FxiOS/", "Firefox"),
        ("CriOS/", "Chrome"),
        ("Firefox/", "Firefox"),
        ("Chromium/", "Chromium"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
        ("Wget/", "Wget"),
    ];
    MARKS.into_iter().find(|(mark, _)| user_agent.contains(mark)).map(|(_, name)| name)
}

fn system(user_agent: &str) -> Option<&'static str> {
    const MARKS: [(&str, &str); 8] = [
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("CrOS", "ChromeOS"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("FreeBSD", "FreeBSD"),
        ("Linux", "Linux"),
    ];
    MARKS.into_iter().find(|(mark, _)| user_agent.contains(mark)).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn the_usual_browsers_are_recognised_though_each_names_the_others() {
        for (user_agent, told) in [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0 Safari/537.36",
                "Chrome on Windows",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/141.0 Safari/537.36 Edg/141.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile Safari/604.1",
                "Safari on iPhone",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.0 Safari/605.1.15",
                "Safari on macOS",
            ),
            (
                "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/141.0 Mobile Safari/537.36",
                "Chrome on Android",
            ),
            ("Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/141.0 Safari/537.36", "Chrome on Linux"),
            ("curl/8.9.1", "curl"),
        ] {
            assert_eq!(words(user_agent), told, "{user_agent}");
        }
    }

    #[test]
    fn what_somebody_writes_into_the_field_is_never_shown() {
        assert_eq!(words("<script>alert(1)</script>"), "An unknown browser");
        assert_eq!(words(""), "An unknown browser");
    }
}
