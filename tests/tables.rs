//! The tables as files: names, types, units, order, growth.

mod common;

use std::collections::{HashMap, HashSet};
use std::fs;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use common::*;
use parquet::basic::{Compression, LogicalType};
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::Value;
use tamperscope::table::{
    self, CAPTURES, COMPARED, CONTRASTS, Column, DNS, Description, FATES, FINDINGS, FLOWS, JUDGED_FROM, JUDGED_RESET, JUDGEMENT, RESETS,
    ROW_GROUP_ROWS, SPLT, TARGETS, TableWriter, Unit,
};

const TABLES: [&str; 4] = ["flows", "findings", "dns", "captures"];

fn of_samples() -> Tables {
    Tables::of(&[&root().join("samples")])
}

// What is declared.

#[test]
fn a_name_means_one_column() {
    for (table, columns) in table::tables() {
        let mut seen = HashSet::new();
        columns.iter().for_each(|column| assert!(seen.insert(column.name), "{table}.{} is declared twice", column.name));
        assert_eq!(columns[0].name, "run_id", "rows of several runs can be appended");
    }
}

#[test]
fn the_unit_stands_in_the_name() {
    for (table, columns) in table::tables() {
        for column in columns {
            assert_eq!(column.name.ends_with("_ms"), column.unit == Unit::Milliseconds, "{table}.{}: {:?}", column.name, column.unit);
            assert_eq!(column.name.ends_with("_kbps"), column.unit == Unit::KilobitsPerSecond, "{table}.{}: {:?}", column.name, column.unit);
            let kind = element_or_self(column.field.data_type());
            assert!(column.unit != Unit::Milliseconds || kind == &DataType::Float64, "{table}.{}", column.name);
        }
    }
}

#[test]
fn a_column_says_in_a_sentence_what_it_holds_and_when_it_holds_nothing() {
    for (table, columns) in table::tables() {
        for column in columns {
            assert!(column.doc.ends_with('.') && column.doc.len() > 5, "{table}.{}: {:?}", column.name, column.doc);
            assert_eq!(column.field.is_nullable(), !column.null.is_empty(), "{table}.{}: null means something or never occurs", column.name);
            assert!(!column.null.ends_with('.'), "{table}.{}: a clause, not a sentence", column.name);
        }
    }
}

#[test]
fn types_are_those_of_the_contract() {
    for (table, columns) in table::tables() {
        for column in columns {
            if let DataType::List(element) = column.field.data_type() {
                assert_eq!(element.name(), "element", "{table}.{}", column.name);
            }
            let kind = element_or_self(column.field.data_type());
            let words = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
            let known = matches!(kind, DataType::Int64 | DataType::Int32 | DataType::Float64 | DataType::Boolean | DataType::Utf8);
            assert!(known || kind == &words || is_utc_micros(kind), "{table}.{}: {kind}", column.name);
            assert_eq!(kind == &words, !column.words.is_empty(), "{table}.{}: an enumeration declares its words", column.name);
        }
    }
}

/// What the elements of a list are, or a value that is no list.
fn element_or_self(kind: &DataType) -> &DataType {
    match kind {
        DataType::List(element) => element.data_type(),
        other => other,
    }
}

fn is_utc_micros(kind: &DataType) -> bool {
    matches!(kind, DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, Some(zone)) if &**zone == "UTC")
}

/// The columns of a table without rows, as the code makes them.
fn empty_columns(table: &str) -> Vec<ArrayRef> {
    match table {
        "flows" => {
            let added = table::added(true).flat_map(|list| table::batch(list, &[]));
            [table::batch(FLOWS, &[]), table::batch(JUDGEMENT, &[])]
                .concat()
                .into_iter()
                .chain(added)
                .chain(table::batch(JUDGED_RESET, &[]))
                .chain(table::batch(JUDGED_FROM, &[]))
                .collect()
        }
        "findings" => table::batch(FINDINGS, &[]),
        "resets" => table::batch(RESETS, &[]),
        "dns" => table::batch(DNS, &[]),
        "contrasts" => table::batch(CONTRASTS, &[]),
        "targets" => table::batch(TARGETS, &[]),
        "compare-flows" => table::batch(COMPARED, &[]),
        "fates" => table::batch(FATES, &[]),
        _ => table::batch(CAPTURES, &[]),
    }
}

#[test]
fn an_enumeration_carries_all_its_words_in_declared_order() {
    for (table, columns) in table::tables() {
        let arrays = empty_columns(table);
        for (column, array) in columns[1..].iter().zip(&arrays).filter(|(column, _)| !column.words.is_empty()) {
            let has: Vec<_> = array.as_dictionary::<Int32Type>().values().as_string::<i32>().iter().flatten().collect();
            assert_eq!(has, column.words.iter().map(|(word, _)| *word).collect::<Vec<_>>(), "{table}.{}", column.name);
        }
    }
}

// What the files hold.

/// The columns of every table against the declared ones, some left out.
#[track_caller]
fn assert_declared(tables: &Tables, left_out: &[&str]) {
    for (table, columns) in of_analyze() {
        let (schema, _) = batches(&tables.folder, table);
        let declared: Vec<Field> =
            columns.into_iter().map(|column| column.field).filter(|field| !left_out.contains(&field.name().as_str())).collect();
        let has: Vec<Field> = schema.fields().iter().map(|field| field.as_ref().clone()).collect();
        assert_eq!(has, declared, "{table}");
    }
}

#[test]
fn files_hold_the_declared_columns() {
    let only_when_asked: Vec<&str> = SPLT.iter().map(|column: &Column<_>| column.name).collect();
    assert_eq!(only_when_asked, ["splt_payload", "splt_ms"]);
    assert_declared(&of_samples(), &only_when_asked);
    assert_declared(&Tables::with(&[&sample("reset.pcap")], &["--splt", "4"]), &[]);
}

/// The tables that `analyze` writes; those of `compare` are looked at in `compare.rs`.
fn of_analyze() -> impl Iterator<Item = (&'static str, Vec<Description>)> {
    table::tables().into_iter().filter(|(table, _)| TABLES.contains(table))
}

#[test]
fn files_hold_only_declared_words() {
    let tables = of_samples();
    for (table, columns) in of_analyze() {
        let rows = tables.rows(table);
        for column in columns.iter().filter(|column| !column.words.is_empty()) {
            let known: HashSet<&str> = column.words.iter().map(|(word, _)| *word).collect();
            let strange = rows.iter().filter_map(|row| row[column.name].as_str()).find(|word| !known.contains(word));
            assert_eq!(strange, None, "{table}.{}", column.name);
        }
    }
}

#[test]
fn files_say_which_version_wrote_them() {
    let tables = of_samples();
    for table in TABLES {
        let (schema, _) = batches(&tables.folder, table);
        let says = |key: &str| schema.metadata().get(key).cloned();
        assert_eq!(says("tamperscope.version").as_deref(), Some(env!("CARGO_PKG_VERSION")), "{table}");
        assert_eq!(says("tamperscope.schema_version").as_deref(), Some(table::SCHEMA_VERSION), "{table}");
    }
}

#[test]
fn one_run_has_one_id_in_every_table() {
    let tables = of_samples();
    let ids: HashSet<String> = TABLES.iter().flat_map(|table| tables.rows(table)).map(|row| text(&row, "run_id").to_string()).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
}

#[test]
fn readers_that_know_only_parquet_find_signed_types_and_named_elements() {
    let tables = of_samples();
    for table in TABLES {
        let file = fs::File::open(tables.folder.join(format!("{table}.parquet"))).expect("the table");
        let reader = SerializedFileReader::new(file).expect("Parquet");
        let schema = reader.metadata().file_metadata().schema_descr_ptr();
        for leaf in schema.columns() {
            let signed = !matches!(leaf.logical_type_ref(), Some(LogicalType::Integer(integer)) if !integer.is_signed);
            assert!(signed, "{table}.{}", leaf.path().string());
            assert!(leaf.path().parts().len() == 1 || leaf.path().parts()[1..] == ["list", "element"], "{table}.{}", leaf.path().string());
        }
    }
}

#[test]
fn files_are_compressed_and_can_be_searched() {
    let filtered = ["host", "server_ip", "client_ip", "community_id", "flow_id"];
    let tables = of_samples();
    let file = fs::File::open(tables.folder.join("flows.parquet")).expect("the table");
    let reader = SerializedFileReader::new(file).expect("Parquet");
    for group in reader.metadata().row_groups() {
        for column in group.columns() {
            let name = column.column_path().string();
            assert!(matches!(column.compression(), Compression::ZSTD(_)), "{name}");
            assert!(column.statistics().is_some(), "{name}");
            assert_eq!(column.bloom_filter_offset().is_some(), filtered.contains(&&*name), "{name}");
        }
    }
}

#[test]
fn row_groups_are_cut_by_number_of_rows_alone() {
    assert_eq!(ROW_GROUP_ROWS, 131_072);
    let place = tempfile::tempdir().expect("a folder");
    let fields = vec![Field::new("flow_id", DataType::Int64, false)];
    let schema = Arc::new(Schema::new(fields));
    let mut writer = TableWriter::create("flows", &place.path().join("flows.parquet"), schema).expect("a new file");
    for rows in [1, 131_072, 100_000, 67_927, 10] {
        let numbers: ArrayRef = Arc::new((0..rows).collect::<Int64Array>());
        writer.write_columns(vec![numbers]).expect("written");
    }
    writer.finish().expect("closed");
    let groups: Vec<_> = parquet_file(place.path(), "flows").metadata().row_groups().iter().map(|group| group.num_rows()).collect();
    assert_eq!(groups, [131_072, 131_072, 36_866]);
}

// Order.

/// Nulls last: false comes before true.
fn nulls_last(value: &Value) -> (bool, String) {
    (value.is_null(), value.as_str().unwrap_or_default().to_string())
}

#[test]
fn flows_of_one_service_and_host_stand_together_in_order_of_time() {
    let flows = of_samples().rows("flows");
    let keys: Vec<_> =
        flows.iter().map(|row| (nulls_last(&row["service"]), nulls_last(&row["host"]), number(row, "start"), number(row, "flow_id"))).collect();
    assert!(keys.is_sorted());
    assert!(keys[0].0 < keys[keys.len() - 1].0, "some flows have a service, the last has none");
}

#[test]
fn findings_stand_in_order_of_time() {
    let findings = of_samples().rows("findings");
    let keys: Vec<_> = findings.iter().map(|row| (number(row, "time"), number(row, "flow_id"))).collect();
    assert!(keys.len() > 10 && keys.is_sorted());
}

#[test]
fn a_flow_is_named_once_and_a_finding_names_a_flow() {
    let tables = of_samples();
    let mut flows = HashMap::new();
    for row in tables.rows("flows") {
        assert!(number(&row, "flow_id") >= 0, "63 bits");
        assert!(flows.insert(number(&row, "flow_id"), row).is_none(), "two flows of one name");
    }
    for finding in tables.rows("findings") {
        let flow = &flows[&number(&finding, "flow_id")];
        assert_eq!(text(flow, "source"), text(&finding, "source"));
        let length = |column: &str| finding[column].as_array().expect("a list").len();
        assert_eq!(length("packets"), length("packet_captures"), "every packet has its file");
        assert_eq!(length("items"), length("item_scores"), "every item has its weight");
    }
}

// Growth.

#[test]
fn columns_are_only_ever_added_at_the_end() {
    let path = root().join("tests/snapshots/schema.txt");
    let kept = fs::read_to_string(&path).unwrap_or_default();
    let mut now = Vec::new();
    for (table, columns) in table::tables() {
        let lines: Vec<_> = columns.iter().map(|column| format!("{table} {} {}", column.name, column.kind)).collect();
        let old: Vec<_> = kept.lines().filter(|line| line.split(' ').next() == Some(table)).collect();
        for (position, old) in old.iter().enumerate() {
            let here = lines.get(position).map_or("nothing", String::as_str);
            assert_eq!(here, *old, "columns keep their name, type and place; new ones come at the end of their table");
        }
        now.extend(lines);
    }
    let gone = kept.lines().find(|line| !now.iter().any(|there| there == line));
    assert_eq!(gone, None, "a table stays");
    assert_snapshot("schema.txt", &(now.join("\n") + "\n"));
}
