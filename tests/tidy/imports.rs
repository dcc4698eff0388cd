//! The paths that a source file names, from the crate's root or another crate on, wherever they stand.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A path that begins at the crate's root or at another crate: its first names, and where it stands.
pub(super) struct Import {
    pub(super) names: Vec<String>,
    pub(super) line: usize,
}

/// All paths of a file, `crate` or another crate's name first. `depth` is how many `super` lead to the root.
pub(super) fn imports(tokens: TokenStream, depth: usize, found: &mut Vec<Import>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (place, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => {
                // The names in the braces of a path were followed from its beginning.
                if place >= 3 && is_colon(&tokens[place - 1]) && is_name(&tokens[place - 3]) {
                    continue;
                }
                let is_module = place >= 2 && is_word(&tokens[place - 2], "mod");
                imports(group.stream(), depth + usize::from(is_module), found);
            }
            TokenTree::Ident(_) if place == 0 || !is_colon(&tokens[place - 1]) => {
                let mut names = Vec::new();
                follow(&tokens[place..], &mut names, depth, found);
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

/// Follows one path from its first name through `::` and `{…}`, adding each end that it has to `found`.
fn follow(tokens: &[TokenTree], names: &mut Vec<String>, depth: usize, found: &mut Vec<Import>) {
    let Some(TokenTree::Ident(name)) = tokens.first() else { return };
    names.push(name.to_string());
    let goes_on = tokens.get(1).is_some_and(is_colon) && tokens.get(2).is_some_and(is_colon);
    match tokens.get(3) {
        Some(TokenTree::Ident(_)) if goes_on => follow(&tokens[3..], names, depth, found),
        Some(TokenTree::Group(group)) if goes_on && group.delimiter() == Delimiter::Brace => {
            let inner: Vec<TokenTree> = group.stream().into_iter().collect();
            for item in
                inner.split(|token| matches!(token, TokenTree::Punct(comma) if comma.as_char() == ','))
            {
                follow(item, &mut names.clone(), depth, found);
            }
        }
        _ if names.len() > 1 || goes_on => {
            let supers = names.iter().take_while(|name| *name == "super").count();
            if supers == depth && depth > 0 {
                names.splice(..supers, [String::from("crate")]);
            }
            found.push(Import { names: names.clone(), line: name.span().start().line });
        }
        _ => {}
    }
}

pub(super) fn is_word(token: &TokenTree, word: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == word)
}

fn is_colon(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == ':')
}

/// A name that a path can begin with.
fn is_name(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident != "use")
}
