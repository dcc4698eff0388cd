//! Everything by the keyboard: menus, dialogs, and where the focus is.

use fantoccini::key::Key;

use crate::browser::Browser;
use crate::looks::Scripts;
use crate::stage::{OWNER, Stage};

#[tokio::test]
async fn menus_open_by_enter_move_by_arrows_and_close_by_escape_with_the_focus_back() {
    let stage = Stage::new();
    stage.key("ci", None);
    let browser = stage.signed_in(OWNER, Scripts::On).await;
    for (menu, first, second, last) in [
        ("Actions for ci", "Edit", "Usage", "Delete"),
        (&format!("Account menu: {OWNER}"), "API Keys", "Members", "Sign out"),
    ] {
        tab_to(&browser, &format!("button {menu}")).await;
        for (keys, focus) in [
            (Key::Enter, format!("menuitem {first}")),
            (Key::Down, format!("menuitem {second}")),
            (Key::Up, format!("menuitem {first}")),
            (Key::Up, format!("menuitem {last}")),
            (Key::Home, format!("menuitem {first}")),
            (Key::End, format!("menuitem {last}")),
            (Key::Escape, format!("button {menu}")),
            (Key::Space, format!("menuitem {first}")),
            (Key::Escape, format!("button {menu}")),
        ] {
            browser.keys(keys.to_string()).await;
            browser.focus_comes_to(&focus).await;
        }
        assert!(!browser.has("menuitem", first).await, "{menu} is still open");
    }
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

#[tokio::test]
async fn dialogs_take_the_focus_keep_it_and_give_it_back() {
    let stage = Stage::new();
    stage.key("ci", None);
    let browser = stage.signed_in(OWNER, Scripts::On).await;
    tab_to(&browser, "link New API Key").await;
    browser.keys(Key::Enter.to_string()).await;
    browser.focus_comes_to("textbox Name").await;
    let dialog = "const dialog = document.querySelector('dialog:modal');
        return dialog !== null && (document.activeElement === document.body || dialog.contains(document.activeElement));";
    // More than the dialog has places for the focus: around its end and back.
    for keys in [Key::Tab.to_string(), format!("{}{}", Key::Shift, Key::Tab)] {
        for _ in 0..20 {
            browser.keys(&keys).await;
            assert_eq!(
                browser.run(dialog, Vec::new()).await,
                true,
                "the focus left for {}",
                browser.focus().await
            );
        }
    }
    browser.keys(Key::Escape.to_string()).await;
    browser.gone("dialog", "").await;
    browser.focus_comes_to("link New API Key").await;

    tab_to(&browser, "button Actions for ci").await;
    browser.keys(Key::Enter.to_string()).await;
    browser.focus_comes_to("menuitem Edit").await;
    browser.keys(Key::Enter.to_string()).await;
    browser.focus_comes_to("textbox Name").await;
    browser.keys(Key::Escape.to_string()).await;
    browser.gone("dialog", "").await;
    browser.focus_comes_to("button Actions for ci").await;
}

/// Presses Tab until the focus is where it is wanted, at most once around the page.
async fn tab_to(browser: &Browser, wanted: &str) {
    for _ in 0..40 {
        if browser.focus().await == wanted {
            return;
        }
        browser.keys(Key::Tab.to_string()).await;
    }
    panic!("Tab never comes to {wanted}, but to {}", browser.focus().await);
}
