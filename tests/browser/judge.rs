//! What holds for every page, whatever it is about: nothing for axe-core to find, no sideways scrolling, no complaint
//! from the browser; and a screenshot to look at.
//!
//! axe-core lies under `target/npm`, where `tests/run` installs it. Screenshots go to `target/screenshots`. Never says
//! a page is well that it could not judge.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde_json::json;

use crate::browser::Browser;
use crate::looks::{Looks, Theme, Width};

/// Runs what `tests/run` installed, then asks it: every rule of WCAG 2 up to AA, and the best practices.
static AXE: LazyLock<String> = LazyLock::new(|| {
    let library = target().join("npm/node_modules/axe-core/axe.min.js");
    let library = std::fs::read_to_string(&library)
        .unwrap_or_else(|error| panic!("{}: {error}; tests/run installs it", library.display()));
    format!("{library}\n{}", include_str!("axe.js"))
});

/// Widths besides desktop and phone at which nothing may stick out, the narrowest first.
const BETWEEN: [u32; 6] = [320, 480, 721, 768, 925, 1024];

/// Nobody looks at more of one page, and drawing it takes seconds.
const PICTURE_PIXELS_MAX: f64 = 8000.0;

/// Judges the page that the browser is at in every width and theme, and keeps a screenshot of each under `page`.
///
/// The answer is empty where nothing is wrong.
pub(crate) async fn judge(browser: &mut Browser, page: &str) -> Vec<String> {
    let mut faults = browser.complaints().await;
    for looks in Looks::ALL {
        browser.look(looks).await;
        keep_screenshot(browser, page).await;
        faults.extend(axe_findings(browser).await);
        faults.extend(sideways(browser).await);
    }
    for pixels in BETWEEN {
        browser.look(Looks(Width::Of(pixels), Theme::Light)).await;
        faults.extend(sideways(browser).await);
    }
    browser.look(Looks::DESKTOP).await;
    faults.extend(browser.complaints().await);
    faults.iter().map(|fault| format!("{page}: {fault}")).collect()
}

/// Keeps a picture of the whole page, below the fold too.
pub(crate) async fn keep_screenshot(browser: &Browser, page: &str) {
    let metrics = browser.cdp("Page.getLayoutMetrics", json!({})).await;
    let (content, view) = (&metrics["cssContentSize"], &metrics["cssLayoutViewport"]);
    let visible = view["clientHeight"].as_f64().unwrap();
    // A dialog on top has its place in the window, and dims no more than that.
    let is_dialog =
        browser.run("return document.querySelector('dialog:modal') !== null", Vec::new()).await == true;
    let height = if is_dialog {
        visible
    } else {
        content["height"].as_f64().unwrap().clamp(visible, PICTURE_PIXELS_MAX)
    };
    let clip = json!({ "x": 0, "y": 0, "width": view["clientWidth"], "height": height, "scale": 1 });
    let wanted = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
    let picture = browser.cdp("Page.captureScreenshot", wanted).await;
    let folder = target().join("screenshots");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join(format!("{page}-{}.png", browser.looks().name()));
    std::fs::write(file, base64(picture["data"].as_str().unwrap())).unwrap();
}

async fn axe_findings(browser: &Browser) -> Vec<String> {
    let looks = browser.looks().name();
    let findings = browser.run_until_done(&AXE).await;
    let findings = findings.as_array().cloned().unwrap_or_default();
    findings.iter().map(|finding| format!("{looks}: {}", finding.as_str().unwrap_or_default())).collect()
}

/// What sticks out at the right of the page, or of the box that it stands in.
async fn sideways(browser: &Browser) -> Vec<String> {
    let width = browser.looks().0.pixels().0;
    let found = browser.run(include_str!("sideways.js"), vec![json!(width)]).await;
    let found = found.as_array().cloned().unwrap_or_default();
    found.iter().map(|each| format!("{width} px: {}", each.as_str().unwrap_or_default())).collect()
}

fn target() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target")
}

/// RFC 4648, section 4, as DevTools writes it.
fn base64(text: &str) -> Vec<u8> {
    let digit = |byte: &u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let digits: Vec<u32> = text.as_bytes().iter().filter_map(digit).map(u32::from).collect();
    let bytes = digits.chunks(4).flat_map(|group| {
        let bits = (0..4).fold(0, |bits, at| bits << 6 | group.get(at).copied().unwrap_or_default());
        bits.to_be_bytes()[1..group.len()].to_vec()
    });
    bytes.collect()
}

#[tokio::test]
async fn a_page_with_faults_is_found_at_fault() {
    let driver = crate::driver::Driver::start();
    let mut browser = Browser::open(&driver, "", crate::looks::Scripts::On).await;
    let page = "<!doctype html><html lang=en><title>t</title><main><h1>t</h1><input><script>console.error('wrong')</script>
        <div style='width:200px'><p style='width:300px'>x</p></div><div style='width:1300px'>y</div></main>";
    browser.visit(&format!("data:text/html,{page}")).await;
    let faults = judge(&mut browser, "faulty").await.join("\n");
    for fault in ["wrong", "desktop-dark: label at input", "scrolls sideways to 13", "holds 300 in 200"] {
        assert!(faults.contains(fault), "no {fault:?} in:\n{faults}");
    }
    let well = "<!doctype html><html lang=en><meta name=viewport content=width=device-width><title>t</title><main><h1>t</h1></main>";
    browser.visit(&format!("data:text/html,{well}")).await;
    assert_eq!(judge(&mut browser, "well").await, Vec::<String>::new());
}
