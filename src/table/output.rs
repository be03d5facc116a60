//! The output folder: everything is written to a temporary folder first and moved into place, `run.json` last.

use std::fs;
use std::path::{Path, PathBuf};

use super::TableError;

/// The sign of a complete result.
const RUN_FILE: &str = "run.json";

/// How the temporary folder's name begins.
const STAGING: &str = ".tamperscope-partial-";

/// A result in the making.
pub struct Output {
    folder: PathBuf,
    staging: PathBuf,
}

impl Output {
    /// Makes the temporary folder: inside `folder` where that exists, else beside it. Refuses a folder that holds something, unless forced.
    pub fn prepare(folder: &Path, force: bool) -> Result<Self, TableError> {
        let name = format!("{STAGING}{}", std::process::id());
        let staging = match is_empty(folder)? {
            None => folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")).join(name),
            Some(true) => folder.join(name),
            Some(false) if force => folder.join(name),
            Some(false) => return Err(TableError::NotEmpty(folder.into())),
        };
        fs::create_dir_all(&staging).map_err(|source| TableError::Io { path: staging.clone(), source })?;
        Ok(Self { folder: folder.into(), staging })
    }

    /// Where files are written until they are complete.
    pub fn staging(&self) -> &Path {
        &self.staging
    }

    /// Moves the files into place; `run` becomes `run.json` after all others are there.
    pub fn commit(self, files: &[String], run: &str) -> Result<(), TableError> {
        let Self { folder, staging } = &self;
        let at = |path: &Path| {
            let path = path.to_path_buf();
            move |source| TableError::Io { path, source }
        };
        fs::create_dir_all(folder).map_err(at(folder))?;
        let run_file = folder.join(RUN_FILE);
        if run_file.exists() {
            fs::remove_file(&run_file).map_err(at(&run_file))?; // what stands there is no longer whole
        }
        for file in files {
            let place = folder.join(file);
            fs::rename(staging.join(file), &place).map_err(at(&place))?;
        }
        let staged = staging.join(RUN_FILE);
        fs::write(&staged, run).map_err(at(&staged))?;
        fs::rename(&staged, &run_file).map_err(at(&run_file))
    }
}

impl Drop for Output {
    /// Nothing of an unfinished run stays behind.
    fn drop(&mut self) {
        let _nothing_to_tell = fs::remove_dir_all(&self.staging);
    }
}

/// Whether the folder holds nothing but what a killed run left behind, which is removed; none where there is no folder.
fn is_empty(folder: &Path) -> Result<Option<bool>, TableError> {
    match fs::read_dir(folder) {
        Ok(entries) => {
            let (left_behind, others): (Vec<_>, Vec<_>) =
                entries.flatten().partition(|entry| entry.file_name().to_string_lossy().starts_with(STAGING));
            left_behind.iter().for_each(|entry| drop(fs::remove_dir_all(entry.path())));
            Ok(Some(others.is_empty()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(TableError::Io { path: folder.into(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_json_comes_with_the_tables_and_nothing_stays_behind() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = place.path().join("out");
        let output = Output::prepare(&folder, false).expect("new");
        fs::write(output.staging().join("flows.parquet"), "x").expect("written");
        output.commit(&["flows.parquet".into()], "{}").expect("moved");
        let mut names: Vec<_> = fs::read_dir(&folder).expect("there").map(|entry| entry.expect("entry").file_name()).collect();
        names.sort();
        assert_eq!(names, ["flows.parquet", "run.json"]);
        assert_eq!(fs::read_dir(place.path()).expect("there").count(), 1, "no temporary folder is left");
    }

    #[test]
    fn a_folder_that_holds_something_is_refused() {
        let place = tempfile::tempdir().expect("a folder");
        fs::write(place.path().join("note.txt"), "mine").expect("written");
        assert!(matches!(Output::prepare(place.path(), false), Err(TableError::NotEmpty(_))));
        assert!(Output::prepare(place.path(), true).is_ok());
    }

    #[test]
    fn what_a_killed_run_left_is_no_obstacle() {
        let place = tempfile::tempdir().expect("a folder");
        fs::create_dir(place.path().join(".tamperscope-partial-1")).expect("made");
        drop(Output::prepare(place.path(), false).expect("as good as empty"));
        assert_eq!(fs::read_dir(place.path()).expect("there").count(), 0);
    }

    #[test]
    fn an_abandoned_run_leaves_no_run_json() {
        let place = tempfile::tempdir().expect("a folder");
        drop(Output::prepare(place.path(), false).expect("empty"));
        assert_eq!(fs::read_dir(place.path()).expect("there").count(), 0);
    }
}
