//! Small ordinary projects that are built and tested behind walls, offline, with the real tools.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use process::sandbox::{Level, Machine, Profile, Slots, unreachable};
use process::{Command, Limits, Sandbox, run};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::PATH;
use crate::sandbox::{levels, open_folder};

/// A project: its files, and the script that must succeed in it.
struct Project {
    /// Without it on the search path there is nothing to test.
    tool: &'static str,
    files: &'static [(&'static str, &'static str)],
    script: &'static str,
}

const GIT: Project = Project {
    tool: "git",
    files: &[("a", "one\n")],
    script: "git init -q -b main && git config user.name a && git config user.email a@example.com && git add . && git commit -qm one \
             && git checkout -qb other && echo two >> a && git commit -qam two && git diff main --stat && git gc -q && git fsck \
             && git clone -q . clone && git -C clone log --oneline | grep -c . | grep -qx 2 && git status --short",
};

const MAKE: Project = Project {
    tool: "gcc",
    files: &[
        ("Makefile", "check: hello\n\t./hello | grep -qx 'hello 42'\nhello: main.o part.o\n\t$(CC) -o $@ $^\n"),
        ("main.c", "#include <stdio.h>\nint part(void);\nint main(void) { printf(\"hello %d\\n\", part()); return 0; }\n"),
        ("part.c", "int part(void) { return 42; }\n"),
    ],
    script: "make -j2 check",
};

const CARGO: Project = Project {
    tool: "cargo",
    files: &[
        (
            "Cargo.toml",
            "[workspace]\nmembers = [\"part\"]\n[package]\nname = \"whole\"\nedition = \"2021\"\n[dependencies]\npart = { path = \"part\" }\n",
        ),
        ("src/main.rs", "fn main() { println!(\"hello {}\", part::part()); }\n"),
        ("part/Cargo.toml", "[package]\nname = \"part\"\nedition = \"2021\"\n"),
        ("part/src/lib.rs", "pub fn part() -> u32 { 42 }\n#[test]\nfn it_is_so() { assert_eq!(part(), 42); }\n"),
        ("part/build.rs", "fn main() { println!(\"cargo::rerun-if-changed=build.rs\"); }\n"),
    ],
    script: "cargo build --offline -q && target/debug/whole | grep -qx 'hello 42' && cargo test --offline -q -p part",
};

const NPM: Project = Project {
    tool: "npm",
    files: &[
        (
            "package.json",
            r#"{"name": "whole", "version": "1.0.0", "dependencies": {"part": "file:part"}, "scripts": {"test": "node test.js"}}"#,
        ),
        ("part/package.json", r#"{"name": "part", "version": "1.0.0", "scripts": {"postinstall": "node -e 1"}}"#),
        ("part/index.js", "module.exports = 42;\n"),
        (
            "test.js",
            "const { execFileSync } = require('child_process'); const { Worker } = require('worker_threads');\n\
             if (require('part') !== 42 || execFileSync('echo', ['x']).toString() !== 'x\\n') process.exit(1);\n\
             new Worker('require(\"worker_threads\").parentPort.postMessage(7)', { eval: true }).on('message', (m) => process.exit(m - 7));\n",
        ),
    ],
    script: "npm install --offline --no-audit --no-fund && npm test",
};

const PIP: Project = Project {
    tool: "pip",
    files: &[
        (
            "pyproject.toml",
            "[build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n[project]\nname = \"part\"\nversion = \"1\"\n",
        ),
        ("part.py", "def part():\n    return 42\n"),
        (
            "backend.py",
            "import zipfile, os\n\
             def build_wheel(folder, settings=None, metadata=None):\n\
             \x20   name = 'part-1-py3-none-any.whl'\n\
             \x20   with zipfile.ZipFile(os.path.join(folder, name), 'w') as wheel:\n\
             \x20       wheel.write('part.py')\n\
             \x20       wheel.writestr('part-1.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: part\\nVersion: 1\\n')\n\
             \x20       wheel.writestr('part-1.dist-info/WHEEL', 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')\n\
             \x20       wheel.writestr('part-1.dist-info/RECORD', '')\n\
             \x20   return name\n",
        ),
        (
            "test_part.py",
            "import subprocess, sys, unittest\nfrom concurrent.futures import ThreadPoolExecutor\nfrom part import part\n\
             class Test(unittest.TestCase):\n\
             \x20   def test(self):\n\
             \x20       with ThreadPoolExecutor() as pool:\n\
             \x20           self.assertEqual(list(pool.map(lambda _: part(), range(4))), [42] * 4)\n\
             \x20       self.assertEqual(subprocess.check_output([sys.executable, '-c', 'print(1)']), b'1\\n')\n",
        ),
    ],
    script: "/usr/bin/python3 -m pip install -q --no-index --no-deps --target installed . && rm part.py \
             && PYTHONPATH=installed /usr/bin/python3 -m unittest -q test_part",
};

const GO: Project = Project {
    tool: "go",
    files: &[
        ("go.mod", "module example.com/whole\n\ngo 1.19\n"),
        (
            "main.go",
            "package main\n\nimport (\n\t\"fmt\"\n\t\"example.com/whole/part\"\n)\n\nfunc main() { fmt.Println(\"hello\", part.Part()) }\n",
        ),
        ("part/part.go", "package part\n\nfunc Part() int { return 42 }\n"),
        (
            "part/part_test.go",
            "package part\n\nimport \"testing\"\n\nfunc TestPart(t *testing.T) { if Part() != 42 { t.Fatal(Part()) } }\n",
        ),
    ],
    script: "go build -o whole . && ./whole | grep -qx 'hello 42' && go test ./part",
};

/// Builds `project` at the levels of this machine that have Landlock, which stand for those that have less, as far as their
/// users can get to the tool.
async fn builds(project: &Project) {
    let (toolchain, _links) = open_toolchain().await;
    let search_path = format!("{}:{PATH}", toolchain.join("bin").display());
    let Some(tool) = search_path.split(':').map(|folder| Path::new(folder).join(project.tool)).find(|path| path.exists()) else {
        return eprintln!("skipped: there is no {} on this machine (scripts/tools.sh installs it where it can)", project.tool);
    };
    let with_all = |level: &Level| Machine::this().landlock_abi == 0 || matches!(level, Level::Full | Level::Landlock);
    for level in levels().into_iter().filter(with_all) {
        let closed = unreachable(std::slice::from_ref(&tool));
        if let (true, Some(closed)) = (level.has_own_user(), closed.first()) {
            eprintln!("skipped at {level}: {} cannot be reached: {}", tool.display(), closed.remedy());
            continue;
        }
        let folder = open_folder();
        let (workspace, home) = (folder.path().join("workspace"), folder.path().join("home"));
        fs::create_dir(&home).unwrap();
        for (name, content) in project.files {
            let path = workspace.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let sandbox = walls(level, &[workspace.clone(), home.clone()], toolchain.clone());
        let command = Command::new("/bin/sh")
            .args(["-ec", project.script])
            .path(&search_path)
            .envs([("HOME", &home), ("TMPDIR", &home)])
            .env("LANG", "C.UTF-8")
            .cwd(workspace)
            .timeout(Duration::from_secs(120));
        // What the step gives its commands.
        let limits = Limits {
            processes: Some(1024),
            data_bytes: Some(8 << 30),
            file_size_bytes: Some(1 << 30),
            open_files: Some(4096),
            oom_score_adj: Some(1000),
        };
        let output = run(command.limits(limits).sandbox(sandbox), &CancellationToken::new()).await.unwrap();
        let (said, complained) = (output.stdout_text(), output.stderr_text());
        assert!(output.exit.success(), "{} at {level}: {}\n{said}\n{complained}", project.tool, output.exit);
    }
}

/// The toolchain of these tests, where a slot's user can get to it: a home of mode 0700 closes its folder, so what is in there is
/// linked to a folder that is open.
pub(crate) async fn open_toolchain() -> (PathBuf, Option<TempDir>) {
    let own = Path::new(env!("CARGO")).parent().and_then(Path::parent).unwrap().to_owned();
    if !Machine::this().users || unreachable(std::slice::from_ref(&own)).is_empty() {
        return (own, None);
    }
    let folder = tempfile::Builder::new().permissions(PermissionsExt::from_mode(0o755)).tempdir().unwrap();
    let linked = folder.path().join("toolchain");
    let link = Command::new("cp").arg("-al").arg(&own).arg(&linked).path(PATH).timeout(Duration::from_secs(60));
    match run(link, &CancellationToken::new()).await.unwrap().exit.success() {
        true => (linked, Some(folder)),
        // Temporary files lie on another file system.
        false => (own, None),
    }
}

fn walls(level: Level, writable: &[PathBuf], toolchain: PathBuf) -> Sandbox {
    let slot = level.has_own_user().then(|| Slots::default().take().unwrap());
    for (slot, folder) in slot.iter().flat_map(|slot| writable.iter().map(move |folder| (slot, folder))) {
        slot.give(folder).unwrap();
    }
    Sandbox::new(Arc::new(Profile::new(vec![toolchain], writable.to_vec())), level, slot)
}

#[tokio::test]
async fn git_commits_branches_and_clones_behind_walls() {
    builds(&GIT).await;
}

#[tokio::test]
async fn make_and_a_c_compiler_build_behind_walls() {
    builds(&MAKE).await;
}

#[tokio::test]
async fn cargo_builds_and_tests_behind_walls() {
    builds(&CARGO).await;
}

#[tokio::test]
async fn npm_installs_and_tests_behind_walls() {
    builds(&NPM).await;
}

#[tokio::test]
async fn pip_installs_and_python_tests_behind_walls() {
    builds(&PIP).await;
}

#[tokio::test]
async fn go_builds_and_tests_behind_walls() {
    builds(&GO).await;
}
