//! Fetching, over real sockets and from files.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use balance::data::{
    Archive, DataError, Description, Fault, Fetched, Progress, Source, WebFile, fetch, load, read,
};
use balance::digest::sha256;
use expect_test::expect;

use super::server::{Serve, Server};
use super::tiny;

const IDX: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
];

fn bytes(file: &str) -> Vec<u8> {
    fs::read(tiny::files("idx").join(file)).unwrap()
}

/// A web source of the tiny IDX files below `base`, pinned as they are on disk.
fn source(title: &'static str, base: &str) -> Source {
    let files = IDX.map(|name| web_file(&format!("{base}/{name}"), &bytes(name)));
    Source::Web { title, files: Box::leak(Box::new(files)) }
}

fn web_file(url: &str, content: &[u8]) -> WebFile {
    WebFile {
        url: leak(url),
        archive: Archive { size: content.len() as u64, sha256: leak(&sha256(content)) },
    }
}

fn leak(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

fn described(sources: &[Source]) -> &'static Description {
    tiny::idx_from(Box::leak(sources.to_vec().into_boxed_slice()))
}

/// The tiny IDX files below `/good`, one of them served as `serve` says.
fn server(file: &str, serve: Serve) -> Server {
    let paths = IDX.map(|name| format!("/good/{name}"));
    let files: Vec<(&str, Serve)> = paths
        .iter()
        .zip(IDX)
        .map(|(path, name)| {
            let serve = if name == file { serve.clone() } else { Serve::Whole(bytes(name)) };
            (path.as_str(), serve)
        })
        .collect();
    Server::start(&files)
}

fn quietly(description: &'static Description, root: &Path) -> Result<Fetched, DataError> {
    fetch(description, root, None, &mut |_| {})
}

/// Names in a folder, those that start with a dot left out.
fn listed(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).map(|entries| entries.flatten().collect());
    let entries: Vec<fs::DirEntry> = entries.unwrap_or_default();
    let names = entries.iter().map(|entry| entry.file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
    names.sort();
    names
}

fn folder(root: &tempfile::TempDir) -> PathBuf {
    root.path().join("tiny_idx")
}

#[test]
fn whole_files_are_installed_uncompressed() {
    let server = server("", Serve::Whole(Vec::new()));
    let description = described(&[source("here", &format!("{}/good", server.address))]);
    let root = tempfile::tempdir().unwrap();
    let mut seen = Vec::new();
    let fetched = fetch(description, root.path(), None, &mut |progress| {
        if let Progress::Bytes { file, done, total } = progress {
            seen.push((file.to_owned(), done, total));
        }
    })
    .unwrap();
    assert_eq!(fetched.source.as_deref(), Some("here"));
    assert_eq!(fetched.folder, Some(folder(&root)));
    let mut names: Vec<&str> = description.files.iter().map(|file| file.name).collect();
    names.sort_unstable();
    assert_eq!(listed(&folder(&root)), names);
    assert_eq!(read(description, root.path()).unwrap().sha256, fetched.sha256);
    for name in IDX {
        let steps: Vec<_> = seen.iter().filter(|(file, ..)| file == name).collect();
        assert_eq!((steps[0].1, steps[0].2), (0, bytes(name).len() as u64));
        assert!(steps.is_sorted() && steps.last().unwrap().1 == steps[0].2);
    }
}

#[test]
fn what_is_there_is_not_fetched_again_unless_damaged() {
    let server = server("", Serve::Whole(Vec::new()));
    let description = described(&[source("here", &format!("{}/good", server.address))]);
    let root = tiny::installed(description, "idx");
    assert_eq!(quietly(description, root.path()).unwrap().source, None);
    assert_eq!(server.requests().len(), 0);
    fs::write(folder(&root).join(IDX[0]), b"other").unwrap();
    assert_eq!(quietly(description, root.path()).unwrap().source.as_deref(), Some("here"));
    assert!(read(description, root.path()).is_ok());
}

#[test]
fn a_cut_connection_is_gone_on_with() {
    let server = server(IDX[0], Serve::Cut(bytes(IDX[0]), 40));
    let description = described(&[source("here", &format!("{}/good", server.address))]);
    let root = tempfile::tempdir().unwrap();
    quietly(description, root.path()).unwrap();
    let path = format!("/good/{}", IDX[0]);
    let requests = server.requests();
    let of_it: Vec<_> = requests.iter().filter(|line| line.starts_with(&path)).collect();
    assert_eq!(of_it, [&path, &format!("{path} from 40"), &format!("{path} from 80")]);
    assert!(read(description, root.path()).is_ok());
}

#[test]
fn an_interrupted_fetch_is_gone_on_with_by_the_next() {
    let server = server("", Serve::Whole(Vec::new()));
    let description = described(&[source("here", &format!("{}/good", server.address))]);
    let root = tempfile::tempdir().unwrap();
    let incoming = folder(&root).join("incoming");
    fs::create_dir_all(&incoming).unwrap();
    fs::create_dir_all(folder(&root).join(".fetch-killed")).unwrap();
    fs::write(incoming.join(format!("{}.part", IDX[0])), &bytes(IDX[0])[..30]).unwrap();
    fs::write(incoming.join(IDX[1]), bytes(IDX[1])).unwrap();
    quietly(description, root.path()).unwrap();
    let requests = server.requests();
    assert_eq!(requests[0], format!("/good/{} from 30", IDX[0]));
    assert!(requests.iter().all(|line| !line.contains(IDX[1])));
    assert!(!folder(&root).join(".fetch-killed").exists() && !incoming.exists());
}

#[test]
fn a_part_of_another_file_is_thrown_away() {
    let server = server("", Serve::Whole(Vec::new()));
    let description = described(&[source("here", &format!("{}/good", server.address))]);
    for part in [vec![7; 30], vec![7; 88], vec![7; 200]] {
        let root = tempfile::tempdir().unwrap();
        let incoming = folder(&root).join("incoming");
        fs::create_dir_all(&incoming).unwrap();
        fs::write(incoming.join(format!("{}.part", IDX[0])), part).unwrap();
        quietly(description, root.path()).unwrap();
        assert!(read(description, root.path()).is_ok());
    }
}

#[test]
fn a_server_without_ranges_is_asked_for_the_whole() {
    for serve in [Serve::WithoutRange(bytes(IDX[0])), Serve::CutThenWhole(bytes(IDX[0]), 33)] {
        let server = server(IDX[0], serve);
        let description = described(&[source("here", &format!("{}/good", server.address))]);
        let root = tempfile::tempdir().unwrap();
        let incoming = folder(&root).join("incoming");
        fs::create_dir_all(&incoming).unwrap();
        fs::write(incoming.join(format!("{}.part", IDX[0])), &bytes(IDX[0])[..30]).unwrap();
        quietly(description, root.path()).unwrap();
        assert!(read(description, root.path()).is_ok());
    }
}

#[test]
fn another_file_is_refused_and_the_next_source_asked() {
    let mut other = bytes(IDX[0]);
    other[50] ^= 1;
    for (serve, reason) in [
        (Serve::Whole(other), "expected 88 bytes with SHA-256"),
        (Serve::Whole(bytes(IDX[0])[..60].to_vec()), "does not go on at byte 60"),
        (Serve::Cut(bytes(IDX[0]), 0), "ended at byte 0 of 88"),
    ] {
        let bad = server(IDX[0], serve);
        let good = server("", Serve::Whole(Vec::new()));
        let description = described(&[
            source("bad", &format!("{}/good", bad.address)),
            source("absent", &format!("{}/nowhere", good.address)),
            source("good", &format!("{}/good", good.address)),
        ]);
        let root = tempfile::tempdir().unwrap();
        let mut failures = Vec::new();
        let fetched = fetch(description, root.path(), None, &mut |progress| {
            if let Progress::Failed { source, error } = progress {
                failures.push(format!("{source}: {}", error.message));
            }
        });
        assert_eq!(fetched.unwrap().source.as_deref(), Some("good"));
        assert_eq!(failures.len(), 2);
        assert!(failures[0].starts_with("bad") && failures[0].contains(reason), "{failures:?}");
        assert!(failures[1].ends_with("answered 404 Not Found"), "{failures:?}");
    }
}

#[test]
fn without_a_source_the_reasons_are_told_and_nothing_is_installed() {
    let server = Server::start(&[]);
    let description = described(&[
        source("one", &format!("{}/a", server.address)),
        source("two", &format!("{}/b", server.address)),
    ]);
    let root = tempfile::tempdir().unwrap();
    let error = quietly(description, root.path()).unwrap_err();
    assert_eq!(error.kind, Fault::Unreachable);
    expect![[r#"
        no source has `tiny_idx`:
          one: HOST/a/train-images-idx3-ubyte: answered 404 Not Found
          two: HOST/b/train-images-idx3-ubyte: answered 404 Not Found
          help: a copy that you have serves as well: `balance data fetch tiny_idx --from FILE_OR_FOLDER`"#]]
    .assert_eq(&error.to_string().replace(&server.address, "HOST"));
    assert_eq!(listed(&folder(&root)), Vec::<String>::new());
}

#[test]
fn content_that_differs_is_not_installed_even_if_its_archive_is_pinned() {
    let mut other = bytes(IDX[0]);
    other[50] ^= 1;
    let server = server(IDX[0], Serve::Whole(other.clone()));
    let files = IDX.map(|name| {
        let content = if name == IDX[0] { other.clone() } else { bytes(name) };
        web_file(&format!("{}/good/{name}", server.address), &content)
    });
    let description =
        described(&[Source::Web { title: "here", files: Box::leak(Box::new(files)) }]);
    let root = tempfile::tempdir().unwrap();
    let error = quietly(description, root.path()).unwrap_err();
    assert!(error.message.contains("here/train-images-idx3-ubyte`: differs"), "{error}");
    assert!(!folder(&root).join(IDX[0]).exists());
}

#[test]
fn an_archive_is_unpacked() {
    let archive = fs::read(tiny::files("cifar100.tar.gz")).unwrap();
    let server = Server::start(&[("/c/cifar.tar.gz", Serve::Cut(archive.clone(), 100))]);
    let file = web_file(&format!("{}/c/cifar.tar.gz", server.address), &archive);
    let source = Source::Web { title: "here", files: Box::leak(Box::new([file])) };
    let description = tiny::cifar100_from(Box::leak(Box::new([source])));
    let root = tempfile::tempdir().unwrap();
    assert_eq!(quietly(description, root.path()).unwrap().content, "by its files");
    assert_eq!(listed(&root.path().join("tiny_cifar100")), ["test.bin", "train.bin"]);
}

#[test]
fn files_of_the_user_are_taken_and_left() {
    let cases = [
        (tiny::cifar100(), "cifar100.tar.gz"),
        (tiny::cifar100(), "cifar100.tar.xz"),
        (tiny::cifar100(), "cifar-100-binary"),
        (tiny::idx(), "idx"),
        (tiny::cifar10(), "cifar10"),
        (tiny::cifar10(), "sheets"),
    ];
    for (description, name) in cases {
        let (given, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let from = given.path().join(name);
        match tiny::files(name).is_dir() {
            true => tiny::copy(&tiny::files(name), &from),
            false => _ = fs::copy(tiny::files(name), &from).unwrap(),
        }
        let before = listed(if from.is_dir() { &from } else { given.path() });
        let fetched = fetch(description, root.path(), Some(&from), &mut |_| {}).unwrap();
        assert_eq!(fetched.source, Some(from.display().to_string()));
        assert!(read(description, root.path()).is_ok(), "{name}");
        let installed = listed(&root.path().join(description.name));
        assert_eq!(installed.len(), description.files.len(), "{name}");
        assert_eq!(listed(if from.is_dir() { &from } else { given.path() }), before);
    }
}

#[test]
fn sheets_become_the_published_files() {
    let root = tempfile::tempdir().unwrap();
    fetch(tiny::cifar10(), root.path(), Some(&tiny::files("sheets")), &mut |_| {}).unwrap();
    for name in listed(&tiny::files("cifar10")) {
        let installed = fs::read(root.path().join("tiny_cifar10").join(&name)).unwrap();
        assert_eq!(installed, fs::read(tiny::files("cifar10").join(&name)).unwrap(), "{name}");
    }
}

/// What `--from` a changed copy of a tiny folder answers, temporary paths written as `HERE`.
fn given((description, name): (&'static Description, &str), change: impl Fn(&Path)) -> String {
    let (given, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let from = given.path().join(name);
    match tiny::files(name).is_dir() {
        true => tiny::copy(&tiny::files(name), &from),
        false => _ = fs::copy(tiny::files(name), &from).unwrap(),
    }
    change(&from);
    let error = fetch(description, root.path(), Some(&from), &mut |_| {}).unwrap_err();
    assert_eq!(listed(&root.path().join(description.name)), Vec::<String>::new());
    error.to_string().replace(&given.path().display().to_string(), "HERE")
}

#[test]
fn damaged_gifts_are_refused() {
    let cifar10 = (tiny::cifar10(), "sheets");
    expect![[r#"
        no `data_batch_1.bin` in `HERE/sheets`
          help: `tiny_cifar10` needs data_batch_1.bin, data_batch_2.bin, data_batch_3.bin, data_batch_4.bin, data_batch_5.bin, test_batch.bin"#]]
    .assert_eq(&given(cifar10, |from| fs::remove_file(from.join("test_batch.png")).unwrap()));
    expect![[
        r#"`HERE/sheets/train_lables.json`: lists 9 classes, fewer than the sheets have images"#
    ]]
    .assert_eq(&given(cifar10, |from| {
        fs::write(from.join("train_lables.json"), "[0,1,2,3,4,5,6,7,8]").unwrap();
    }));
    expect![[r#"`HERE/sheets/test_lables.json`: is no list of classes: invalid type: string "six", expected u8 at line 1 column 6"#]]
    .assert_eq(&given(cifar10, |from| fs::write(from.join("test_lables.json"), "[\"six\"]").unwrap()));
    expect![[r#"`HERE/sheets/data_batch_4.bin`: at byte 0: expected a class below 10, found 60"#]]
        .assert_eq(&given(cifar10, |from| {
            fs::write(from.join("train_lables.json"), "[0,1,2,3,4,5,60,7,8,9]").unwrap();
        }));
    let archive = (tiny::cifar100(), "cifar100.tar.gz");
    expect![[r#"`HERE/cifar100.tar.gz`: could not unpack: corrupt gzip stream does not have a matching checksum"#]].assert_eq(
        &given(archive, |from| {
            let mut bytes = fs::read(from).unwrap();
            bytes[100..150].fill(0);
            fs::write(from, bytes).unwrap();
        }),
    );
    expect![[r#"
        `HERE/cifar100.tar.gz` is a zip archive, which is not read here
          help: unpack it and give the folder: `--from FOLDER`"#]]
    .assert_eq(&given(archive, |from| fs::write(from, b"PK\x03\x04").unwrap()));
    expect![[r#"
        no `train.bin` in `HERE/cifar100.tar.gz`
          help: `tiny_cifar100` needs train.bin, test.bin"#]]
    .assert_eq(&given(archive, |from| fs::write(from, b"").unwrap()));
    expect![[r#"could not read `HERE/cifar100.tar.gz`: No such file or directory (os error 2)"#]]
        .assert_eq(&given(archive, |from| fs::remove_file(from).unwrap()));
}

#[test]
fn no_damaged_sheet_is_accepted() {
    let sheet = fs::read(tiny::files("sheets").join("data_batch_2.png")).unwrap();
    for at in 0..sheet.len() - 12 {
        let mut bytes = sheet.clone();
        bytes[at] ^= 0x15;
        for bytes in [bytes, sheet[..at].to_vec()] {
            given((tiny::cifar10(), "sheets"), |from| {
                fs::write(from.join("data_batch_2.png"), &bytes).unwrap();
            });
        }
    }
}

#[test]
fn two_fetches_do_not_meet() {
    let description = described(&[source("absent", "http://127.0.0.1:9")]);
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder(&root)).unwrap();
    let lock = File::create(folder(&root).join(".lock")).unwrap();
    lock.lock().unwrap();
    let error = quietly(description, root.path()).unwrap_err();
    assert_eq!(error.kind, Fault::Refused);
    assert!(error.message.starts_with("another fetch is writing to"), "{error}");
}

#[test]
fn a_root_that_cannot_be_written_is_told() {
    let root = tempfile::tempdir().unwrap();
    fs::write(folder(&root), b"a file").unwrap();
    let error = quietly(tiny::idx(), root.path()).unwrap_err();
    assert_eq!(error.kind, Fault::Refused, "{error}");
}

#[test]
fn what_is_built_in_is_not_fetched() {
    let root = tempfile::tempdir().unwrap();
    let digits = load("digits", root.path()).unwrap();
    let fetched = fetch(digits.description, root.path(), None, &mut |_| {}).unwrap();
    let expected =
        Fetched { folder: None, source: None, content: "official", sha256: digits.sha256 };
    assert_eq!(fetched, expected);
    assert_eq!(listed(root.path()), Vec::<String>::new());
}
