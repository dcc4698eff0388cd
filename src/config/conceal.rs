//! The lines of a configuration file as they may be shown beside a problem: without its secrets.
//!
//! Works on the text alone, because a file that cannot be parsed is shown too. Promises that a line keeps its length,
//! so that carets stand where they should, and prefers to hide too much. Never shows a control character.

/// Every line of `source`, as YAML counts them, with `*` for whatever may be a secret.
pub(crate) fn shown_lines(source: &str) -> Vec<Vec<char>> {
    let mut hiding: Option<Hiding> = None;
    lines(source)
        .into_iter()
        .map(|line| {
            let mut chars = without_passwords(line);
            let indent = line.chars().take_while(|c| *c == ' ').count();
            let blank = line.trim().is_empty();
            if let Some(until) = &mut hiding
                && (blank || indent > until.indent || until.nothing_yet)
            {
                until.nothing_yet &= blank;
                star(&mut chars, indent);
                return chars;
            }
            hiding =
                secret_begins(&chars).map(|at| Hiding { indent, nothing_yet: star(&mut chars, at) == 0 });
            chars
        })
        .collect()
}

/// A secret whose value may go on in the lines below.
struct Hiding {
    /// Of the line with its name: what is written further in belongs to it.
    indent: usize,
    /// Nothing of the value was seen so far: the next line holds it, wherever it begins.
    nothing_yet: bool,
}

/// Stars out all from `at` on but white space; gives how many characters that were.
fn star(chars: &mut [char], at: usize) -> usize {
    let mut starred = 0;
    for c in chars.iter_mut().skip(at).filter(|c| !c.is_whitespace()) {
        *c = '*';
        starred += 1;
    }
    starred
}

/// Where the value of a field begins whose name says that it is secret. Misspelt names count: `client_secrt`.
fn secret_begins(chars: &[char]) -> Option<usize> {
    let is_name = |c: &char| c.is_alphanumeric() || *c == '_' || *c == '-';
    let mut at = 0;
    while at < chars.len() {
        let rest = chars.get(at..)?;
        let name: String = rest.iter().take_while(|c| is_name(c)).flat_map(|c| c.to_lowercase()).collect();
        if name.is_empty() {
            at += 1;
            continue;
        }
        let after = at + rest.iter().take_while(|c| is_name(c)).count();
        let quote = usize::from(matches!(chars.get(after), Some('"' | '\'')));
        let gap = chars.iter().skip(after + quote).take_while(|c| c.is_whitespace()).count();
        let colon = after + quote + gap;
        let secret = name.contains("secr") || name.contains("passw");
        if secret && !name.ends_with("file") && chars.get(colon) == Some(&':') {
            return Some(colon + 1);
        }
        at = after;
    }
    None
}

/// The line's characters without control characters, and with `*` for who signs in to a URL.
fn without_passwords(line: &str) -> Vec<char> {
    let mut chars: Vec<char> = line
        .chars()
        .map(|c| match c {
            '\t' => ' ',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect();
    let mut at = 0;
    while at < chars.len() {
        if chars.get(at..at + 3) != Some(&[':', '/', '/']) {
            at += 1;
            continue;
        }
        let start = at + 3;
        // To the last `@` of the word: whoever writes a password may forget to encode what is in it.
        let word =
            chars.iter().skip(start).take_while(|c| !c.is_whitespace() && !"\"'".contains(**c)).count();
        let secret = chars.iter().skip(start).take(word).collect::<Vec<_>>();
        let secret = secret.iter().rposition(|c| **c == '@').unwrap_or(0);
        chars.iter_mut().skip(start).take(secret).for_each(|c| *c = '*');
        at = start + word;
    }
    chars
}

/// The lines as YAML counts them: ended by LF, CRLF or CR.
fn lines(source: &str) -> Vec<&str> {
    source
        .split('\n')
        .flat_map(|line| {
            let line = line.strip_suffix('\r').unwrap_or(line);
            line.split('\r')
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(source: &str) -> String {
        let lines: Vec<String> = shown_lines(source).into_iter().map(String::from_iter).collect();
        lines.join("\n")
    }

    #[test]
    fn a_password_in_a_shown_url_is_starred_out() {
        let shown = shown("database: postgres://user:p@s/s,@host/db # http://a:b@c");
        assert_eq!(shown, "database: postgres://***********@host/db # http://***@c");
    }

    #[test]
    fn a_secret_is_starred_out_however_it_is_written() {
        assert_eq!(shown("client_secret: a, b\nnext: c"), "client_secret: ** *\nnext: c");
        assert_eq!(shown("{ issuer: x, \"client_secret\" : 'a' }"), "{ issuer: x, \"client_secret\" : *** *");
        assert_eq!(
            shown("a:\n  client_secrt: |-\n    a\n\n    b\n  c: d"),
            "a:\n  client_secrt: **\n    *\n\n    *\n  c: d"
        );
        assert_eq!(shown("{ client_secret:\n\na, b: c }\nd"), "{ client_secret:\n\n** ** * *\nd");
        assert_eq!(shown("ClientSecret: a"), "ClientSecret: *");
    }

    #[test]
    fn the_name_of_a_secrets_file_is_shown() {
        let text = "client_secret_file: /run/secret # a secret\nb: c";
        assert_eq!(shown(text), text);
    }
}
