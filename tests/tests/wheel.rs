//! The wheel of redshift-data-local, as a Python team uses it: installed by pip, and started by the fixture of its README.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use loader::tools::project;
use redshift_data_local::process::Folder;

/// Runs it to its end; what it printed.
fn succeed(command: &mut Command) -> String {
    let output = command.output().expect("it starts");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {said}");
    said
}

/// The Python in a page, block after block.
fn python_of(page: &str) -> String {
    let blocks = page.split("```python\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.collect::<Vec<_>>().join("\n\n")
}

fn wheel() -> PathBuf {
    let built = fs::read_dir(project("target/wheels/dev")).into_iter().flatten().flatten().map(|entry| entry.path());
    let newest = built.max_by_key(|path| path.metadata().and_then(|data| data.modified()).ok());
    newest.expect("run `make wheel-to-test`")
}

#[test]
fn pip_installs_a_data_api_that_starts_by_itself_and_leaves_nothing() {
    let dir = Folder::new().expect("a folder");
    let [venv, temporary, tests] = ["venv", "tmp", "tests"].map(|name| dir.path().join(name));
    for folder in [&temporary, &tests] {
        fs::create_dir(folder).expect("a folder");
    }
    // Root's PostgreSQL runs as nobody, who has to get there.
    for folder in [dir.path(), &temporary] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o711)).expect("its owner");
    }
    succeed(Command::new(project(".tools/wheel/bin/python")).args(["-m", "venv"]).arg(&venv));
    let mut pip = Command::new(venv.join("bin/pip"));
    pip.args(["install", "--disable-pip-version-check", "--no-index", "--find-links"])
        .arg(project(".tools/wheel-house"));
    succeed(pip.arg(wheel()).args(["boto3", "pytest"]));

    let readme = fs::read_to_string(project("infra/redshift-data-local/README.md")).expect("a README");
    fs::write(tests.join("test_readme.py"), python_of(&readme)).expect("a file");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut pytest = Command::new(venv.join("bin/pytest"));
    pytest.args(["-q", "-p", "no:cacheprovider"]).current_dir(&tests).env_clear();
    pytest.env("PATH", format!("{}:{path}", venv.join("bin").display())).env("TMPDIR", &temporary);
    let said = succeed(&mut pytest);
    assert!(said.contains("1 passed"), "{said}");

    // The last of it goes a moment after the program, which does not wait for its watchdog.
    for _ in 0..100 {
        if fs::read_dir(&temporary).expect("a folder").next().is_none() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("files are left");
}
