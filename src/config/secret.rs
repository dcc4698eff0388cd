//! Settings that are secret: written in the file, or in a file of their own that is read when the configuration is.
//!
//! Promises that a secret shows itself nowhere, not in `Debug`, not in a problem, and is wiped when dropped. Never
//! reads more than a secret's length of a file, and only files that end.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;
use zeroize::Zeroizing;

use super::leaf::text_schema;
use super::setting::{Leaf, Mistake};

/// Longest secret, in bytes: four times what providers hand out.
const SECRET_BYTES_MAX: usize = 1_024;

/// A secret of the configuration. Redacts itself in `Debug`, has no `Display`, and is wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// The secret itself: for whoever it is shared with, and nobody else.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The secret that `text` is, without the white space around it. Nothing where it is none.
    pub fn new(text: &str) -> Option<SecretText> {
        SecretText::of(text)
    }

    /// The secret that the file at `path` holds.
    ///
    /// # Errors
    /// Why it gives no secret, as the end of a sentence that begins with the path.
    pub fn read(path: &Path) -> Result<SecretText, String> {
        SecretFile(path.to_owned()).read()
    }

    fn of(text: &str) -> Option<SecretText> {
        let text = text.trim();
        let fits = (1..=SECRET_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
        fits.then(|| SecretText(Zeroizing::new(text.to_owned())))
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

impl Leaf for SecretText {
    fn expected() -> String {
        format!("a secret of 1 to {SECRET_BYTES_MAX} bytes, on one line")
    }

    fn parse(text: &str) -> Result<SecretText, Mistake> {
        SecretText::of(text).ok_or_else(|| Mistake::new("not a secret"))
    }

    fn schema() -> Value {
        text_schema()
    }
}

/// The path of a file that holds a secret; relative to the current directory.
#[derive(Debug)]
pub(crate) struct SecretFile(PathBuf);

impl SecretFile {
    /// What the file holds, without the white space around it. Else why it gives no secret.
    pub(crate) fn read(&self) -> Result<SecretText, String> {
        let unreadable = |error: std::io::Error| format!("a file that cannot be read: {error}");
        // A pipe may never end, and opening one may wait for ever.
        if !std::fs::metadata(&self.0).map_err(unreadable)?.is_file() {
            return Err("not a regular file".into());
        }
        // The whole capacity at once: a buffer that grows leaves copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(2 * SECRET_BYTES_MAX));
        let limit = 2 * SECRET_BYTES_MAX as u64;
        File::open(&self.0).and_then(|file| file.take(limit).read_to_end(&mut bytes)).map_err(unreadable)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| "a file that holds no text")?;
        if text.trim().is_empty() {
            return Err("a file that holds nothing".into());
        }
        SecretText::of(text)
            .ok_or_else(|| format!("a file that holds more than one line of {SECRET_BYTES_MAX} bytes"))
    }
}

impl Leaf for SecretFile {
    fn expected() -> String {
        "the path of a file; relative paths begin at the current directory".into()
    }

    fn parse(text: &str) -> Result<SecretFile, Mistake> {
        if text.is_empty() || text.contains('\0') {
            return Err(Mistake::new("not the path of a file"));
        }
        Ok(SecretFile(PathBuf::from(text)))
    }

    fn schema() -> Value {
        text_schema()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<SecretText, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, bytes).unwrap();
        SecretFile(path).read()
    }

    #[test]
    fn a_secret_is_the_one_line_of_its_file_and_shows_itself_nowhere() {
        let secret = read(b"  hunter2\r\n").unwrap();
        assert_eq!(secret.expose(), "hunter2");
        assert_eq!(format!("{secret:?}"), "SecretText(…)");
        assert!(read(&[b'a'; SECRET_BYTES_MAX]).is_ok());
    }

    #[test]
    fn what_is_no_secret_is_refused_without_being_shown() {
        assert_eq!(read(b" \n"), Err("a file that holds nothing".into()));
        assert_eq!(read(b"\xffhunter2"), Err("a file that holds no text".into()));
        for bad in [&b"hunter2\nhunter3"[..], &[b'a'; SECRET_BYTES_MAX + 1], &[b'a'; 1 << 20]] {
            let why = read(bad).unwrap_err();
            assert!(why.starts_with("a file that holds more") && !why.contains("hunter"), "{why}");
        }
        assert_eq!(SecretFile("/dev/zero".into()).read(), Err("not a regular file".into()));
        assert_eq!(SecretFile("/".into()).read(), Err("not a regular file".into()));
        assert!(SecretFile("/nowhere/secret".into()).read().unwrap_err().contains("No such file"));
    }
}
