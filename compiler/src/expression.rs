//! Arithmetic of the preprocessor: what stands after `#if`, and what a `#define` for C comes to.

use crate::diagnostic::Diagnostics;
use crate::lex::{Lexer, Token, TokenKind, number};
use crate::source::Sources;

/// How deep an expression may nest; chosen by us.
const DEPTH_MAX: u32 = 64;

/// Evaluates what `lexer` yields, or says what is wrong with it.
///
/// `lookup` gives the value of a name, `defined` tells whether the preprocessor knows it.
pub(crate) fn evaluate(
    lexer: &mut Lexer,
    sources: &Sources,
    lookup: &mut dyn FnMut(&str) -> Option<i128>,
    defined: &dyn Fn(&str) -> bool,
) -> Result<i128, String> {
    // Nothing that the lexer has to say matters here: what it skips makes the expression end too early or not at all.
    let mut ignored = Diagnostics::default();
    let mut tokens = Vec::new();
    loop {
        let token = lexer.next(&mut ignored);
        if token.kind == TokenKind::End {
            break;
        }
        // After a backslash the line goes on.
        if !matches!(token.kind, TokenKind::Comment | TokenKind::Punctuation(b'\\')) {
            tokens.push(token);
        }
        if tokens.len() > TOKEN_COUNT_MAX {
            return Err("too long an expression".into());
        }
    }
    let mut evaluator = Evaluator { tokens: &tokens, sources, lookup, defined, depth: 0 };
    let value = evaluator.binary(0)?;
    match evaluator.tokens {
        [] if !ignored.has_errors() => Ok(value),
        [] => Err("a stray character".into()),
        [rest, ..] => Err(format!("unexpected `{}`", sources.text(rest.text))),
    }
}

struct Evaluator<'a> {
    tokens: &'a [Token],
    sources: &'a Sources,
    lookup: &'a mut dyn FnMut(&str) -> Option<i128>,
    defined: &'a dyn Fn(&str) -> bool,
    depth: u32,
}

impl Evaluator<'_> {
    /// Evaluates operators that bind at least as tightly as `level` (0 is `||`).
    fn binary(&mut self, level: usize) -> Result<i128, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("too deep an expression".into());
        }
        let mut left = self.unary()?;
        while let Some((operator, its_level, len)) = self.operator()
            && its_level >= level
        {
            self.tokens = &self.tokens[len..];
            let right = self.binary(its_level + 1)?;
            left = apply(operator, left, right)?;
        }
        self.depth -= 1;
        Ok(left)
    }

    fn operator(&self) -> Option<(&'static str, usize, usize)> {
        let mut text = String::new();
        for token in self.tokens.iter().take(2) {
            let TokenKind::Punctuation(octet) = token.kind else { break };
            text.push(octet.into());
        }
        OPERATORS
            .iter()
            .find(|(operator, _)| text.starts_with(operator))
            .map(|(operator, level)| (*operator, *level, operator.len()))
    }

    fn unary(&mut self) -> Result<i128, String> {
        let [first, rest @ ..] = self.tokens else { return Err("an expression is missing".into()) };
        self.tokens = rest;
        let text = self.sources.text(first.text);
        if first.kind == TokenKind::Number {
            return number(text.trim_end_matches(['u', 'U', 'l', 'L'])).map_err(|(what, _)| what);
        }
        if first.kind == TokenKind::Identifier {
            if text == "defined" {
                return self.defined();
            }
            return (self.lookup)(&text).ok_or(format!("`{text}` has no value"));
        }
        let TokenKind::Punctuation(sign @ (b'(' | b'!' | b'-' | b'+' | b'~')) = first.kind else {
            return Err(format!("unexpected `{text}`"));
        };
        if sign == b'(' {
            let value = self.binary(0)?;
            self.expect(b')')?;
            return Ok(value);
        }
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("too deep an expression".into());
        }
        let value = self.unary()?;
        self.depth -= 1;
        Ok(match sign {
            b'!' => i128::from(value == 0),
            b'-' => -value,
            b'~' => i128::from(!(value as i64)),
            _ => value,
        })
    }

    fn defined(&mut self) -> Result<i128, String> {
        let in_parentheses = self.expect(b'(').is_ok();
        let [name, rest @ ..] = self.tokens else { return Err("a name is missing after `defined`".into()) };
        if name.kind != TokenKind::Identifier {
            return Err("a name is missing after `defined`".into());
        }
        self.tokens = rest;
        if in_parentheses {
            self.expect(b')')?;
        }
        Ok(i128::from((self.defined)(&self.sources.text(name.text))))
    }

    fn expect(&mut self, octet: u8) -> Result<(), String> {
        match self.tokens {
            [first, rest @ ..] if first.kind == TokenKind::Punctuation(octet) => {
                self.tokens = rest;
                Ok(())
            }
            _ => Err(format!("`{}` is missing", char::from(octet))),
        }
    }
}

/// Applies an operator, in 64 bits as in C.
fn apply(operator: &str, left: i128, right: i128) -> Result<i128, String> {
    let shift = u32::try_from(right).unwrap_or(64);
    let value = match operator {
        "||" => i128::from(left != 0 || right != 0),
        "&&" => i128::from(left != 0 && right != 0),
        "|" => left | right,
        "^" => left ^ right,
        "&" => left & right,
        "==" => i128::from(left == right),
        "!=" => i128::from(left != right),
        "<=" => i128::from(left <= right),
        ">=" => i128::from(left >= right),
        "<" => i128::from(left < right),
        ">" => i128::from(left > right),
        "<<" if shift < 64 => left << shift,
        ">>" if shift < 64 => left >> shift,
        "+" => left + right,
        "-" => left - right,
        "*" => left.checked_mul(right).ok_or("too large a number")?,
        "/" if right != 0 => left / right,
        "%" if right != 0 => left % right,
        _ => return Err(format!("`{operator}` by {right}")),
    };
    if value < i64::MIN.into() || value > u64::MAX.into() {
        return Err("too large a number".into());
    }
    Ok(value)
}

/// The operators and how tightly they bind, the longer before those that they begin with.
const OPERATORS: [(&str, usize); 18] = [
    ("||", 0),
    ("&&", 1),
    ("==", 5),
    ("!=", 5),
    ("<=", 6),
    (">=", 6),
    ("<<", 7),
    (">>", 7),
    ("|", 2),
    ("^", 3),
    ("&", 4),
    ("<", 6),
    (">", 6),
    ("+", 8),
    ("-", 8),
    ("*", 9),
    ("/", 9),
    ("%", 9),
];

const TOKEN_COUNT_MAX: usize = 1000;
