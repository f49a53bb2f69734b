//! A message without what changes when the library's own files do, in the format of the crate `trybuild`.

use std::path::Path;

/// Removes the line numbers of all files but the program's, and the indentation that they need.
pub(crate) fn normalized(program: &Path, rendered: &str) -> String {
    let program = program.display().to_string();
    let mut is_program = true;
    let mut lines = Vec::new();
    for line in rendered.trim_end().lines() {
        let arrow = ["--> ", "::: "]
            .into_iter()
            .find(|it| line.trim_start().starts_with(it));
        if arrow.is_some() {
            is_program = line.contains(&program);
        } else if line.starts_with("help: ") {
            // A suggestion for the program names no file.
            is_program = true;
        }
        lines.push(match arrow {
            _ if is_program => line.to_owned(),
            Some(arrow) => without_position(line, arrow),
            None => without_line_number(line),
        });
    }
    let surplus = surplus(&lines);
    let narrowed: Vec<_> = lines.iter().map(|line| narrowed(line, surplus)).collect();
    narrowed.join("\n")
}

/// `  --> src/flow.rs:12:34` is `  --> src/flow.rs`.
fn without_position(line: &str, arrow: &str) -> String {
    let path = line.trim_start().trim_start_matches(arrow);
    let path = path.split(':').next().unwrap_or(path);
    let indentation = &line[..line.len() - line.trim_start().len()];
    format!("{indentation}{arrow}{path}")
}

/// `12 | code` is `   | code`.
fn without_line_number(line: &str) -> String {
    match line.split_once('|') {
        Some((number, code)) if number.trim().bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{}|{code}", " ".repeat(number.len()))
        }
        _ => line.to_owned(),
    }
}

/// By how much the widest line number that is left is narrower than its column.
fn surplus(lines: &[String]) -> usize {
    let column = lines.iter().find_map(|line| line.find("--> ")).unwrap_or(0);
    let numbers = lines.iter().filter_map(|line| line.split_once(" |"));
    let numbers = numbers.map(|(number, _)| number.trim_start());
    let numbers = numbers.filter(|it| it.bytes().all(|byte| byte.is_ascii_digit()));
    column.saturating_sub(numbers.map(str::len).max().unwrap_or(0))
}

/// A line whose column of line numbers is narrower by so much.
fn narrowed(line: &str, by: usize) -> String {
    let dots = line.len() - line.trim_start_matches("...").len();
    let (start, rest) = line.split_at(dots);
    match rest.split_at_checked(by) {
        Some((indentation, rest)) if indentation.trim().is_empty() => format!("{start}{rest}"),
        _ => line.to_owned(),
    }
}
