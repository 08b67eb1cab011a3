//! Reports write nothing.

use super::{
    finding::{Finding, assert_found, assert_kept},
    source::{self, Source},
};

const WRITES: &[&str] = &["ActiveModel", "insert_many", "update_many", "delete_many", "delete_by_id"];
const STATEMENTS: &[&str] = &["INSERT INTO ", "DELETE FROM ", "UPDATE "];

fn writes(source: &Source) -> Vec<Finding> {
    let fix = "reports only read; a write belongs to ingest, directory or jobs";
    let is_write = |name: &str| WRITES.contains(&name);
    let finding = |name: &str, line| Finding::new(&source.path, line, format!("`{name}` writes"), fix);
    let by_path = source.names().filter_map(|path| {
        let name = path.names.iter().find(|name| is_write(name))?;
        Some(finding(name, path.line))
    });
    let by_method = source.methods.iter().filter(|method| is_write(&method.name));
    let by_name = by_path.chain(by_method.map(|method| finding(&method.name, method.line)));
    let by_statement = source.raw.lines().enumerate().filter_map(|(index, line)| {
        let statement = STATEMENTS.iter().find(|statement| line.contains(**statement))?;
        Some(Finding::new(&source.path, index + 1, format!("`{}` writes", statement.trim()), fix))
    });
    by_name.chain(by_statement).collect()
}

#[test]
fn reports_write_nothing() {
    assert_kept(source::below(&["src/reports"]).flat_map(writes));
}

mod planted {
    use super::*;

    #[test]
    fn a_report_that_writes() {
        let check = |raw| writes(&Source::new("src/reports/a.rs", raw));
        assert_found(&check("\nuse crate::entity::project::ActiveModel;"), 2, "ActiveModel");
        assert_found(&check("fn f() { db.run(\"DELETE FROM metric_event\") }"), 1, "DELETE FROM");
        assert_found(&check("fn f() { db.insert_many(rows) }"), 1, "insert_many");
        assert_kept(check("fn f() { map.insert(1, 2); \"SELECT updated_at FROM x\" }"));
    }
}
