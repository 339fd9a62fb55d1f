//! `macula data` on every dataset format, valid and invalid, with files made here.
#![cfg(feature = "cli")]

#[cfg(feature = "host")]
#[path = "data_cli/care_report.rs"]
mod care_report;
#[cfg(feature = "dicom")]
mod dicom;

use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;
use std::process::Command;

use image::{GrayImage, ImageFormat, Luma};
use serde_json::Value;
use zip::CompressionMethod;

/// Output and exit code of a run.
struct Outcome {
    code: i32,
    output: String,
    error: String,
}

fn macula(arguments: &[&str]) -> Outcome {
    let run = Command::new(env!("CARGO_BIN_EXE_macula")).arg("data").args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Outcome { code: run.status.code().unwrap(), output: text(run.stdout), error: text(run.stderr) }
}

/// The JSON report of a successful run.
fn report(path: &Path) -> Value {
    let run = macula(&[path.to_str().unwrap(), "--json"]);
    assert_eq!(run.code, 0, "{}", run.error);
    serde_json::from_str(&run.output).unwrap()
}

/// Asserts exit code 2 and one line of error that contains all of `parts`.
fn refused(path: &Path, more: &[&str], parts: &[&str]) {
    let mut arguments = vec![path.to_str().unwrap()];
    arguments.extend(more);
    let run = macula(&arguments);
    assert_eq!(run.code, 2, "{}{}", run.output, run.error);
    assert_eq!(run.error.trim_end().lines().count(), 1, "{}", run.error);
    parts.iter().for_each(|part| assert!(run.error.contains(part), "no {part:?} in {}", run.error));
}

/// An image that differs for every `seed`.
fn picture(seed: u32, format: ImageFormat) -> Vec<u8> {
    let image = GrayImage::from_fn(20, 16, |x, y| Luma([(x * 5 + y * 3 + seed * 11) as u8]));
    let mut bytes = Cursor::new(Vec::new());
    // GIF has no grey.
    image::DynamicImage::ImageLuma8(image).into_rgb8().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// A NumPy array, format 1.0.
fn npy(dtype: &str, shape: &str, values: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}");
    header.push_str(&" ".repeat(63 - (10 + header.len()) % 64));
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(values);
    bytes
}

fn npz(path: &Path, method: CompressionMethod, arrays: &[(&str, Vec<u8>)]) {
    let mut archive = zip::ZipWriter::new(fs::File::create(path).unwrap());
    let options = zip::write::SimpleFileOptions::default().compression_method(method);
    for (name, bytes) in arrays {
        archive.start_file(format!("{name}.npy"), options).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap();
}

/// Two images of 3×2 pixels, with labels 0 and 1.
fn arrays() -> Vec<(&'static str, Vec<u8>)> {
    let pixels: Vec<u8> = (0..12).collect();
    vec![("train_images", npy("|u1", "(2, 2, 3)", &pixels)), ("train_labels", npy("|u1", "(2, 1)", &[0, 1]))]
}

#[test]
fn a_truncated_jpeg_is_skipped_and_an_error_with_strict() {
    let folder = tempfile::tempdir().unwrap();
    for (i, class) in ["a", "a", "b", "b"].into_iter().enumerate() {
        write(&folder.path().join(format!("{class}/{i}.JPG")), &picture(i as u32, ImageFormat::Jpeg));
    }
    assert_eq!(macula(&[folder.path().to_str().unwrap(), "--strict"]).code, 0, "complete images pass");
    let bytes = picture(9, ImageFormat::Jpeg);
    write(&folder.path().join("b/cut.jpg"), &bytes[..bytes.len() / 2]);
    let found = report(folder.path());
    assert_eq!(found["images"], 4);
    assert_eq!(found["skipped"].as_array().unwrap().len(), 1);
    assert_eq!(found["skipped"][0]["name"], "b/cut.jpg");
    let text = macula(&[folder.path().to_str().unwrap()]).output;
    assert!(text.contains("b/cut.jpg"), "{text}");
    refused(folder.path(), &["--strict"], &["b/cut.jpg"]);
}

#[test]
fn folders_give_classes_splits_duplicates_and_leaks() {
    let folder = tempfile::tempdir().unwrap();
    let files = [
        ("training/x/1.png", 1, ImageFormat::Png),
        ("training/y/deep/2.bmp", 2, ImageFormat::Bmp),
        ("Test/x/3.tif", 3, ImageFormat::Tiff),
        ("Test/y/4.png", 1, ImageFormat::Png),
        ("other/5.gif", 5, ImageFormat::Gif),
    ];
    for (name, seed, format) in files {
        write(&folder.path().join(name), &picture(seed, format));
    }
    write(&folder.path().join(".hidden/6.png"), b"ignored");
    write(&folder.path().join("training/x/notes.txt"), b"ignored");
    let found = report(folder.path());
    assert_eq!(found["images"], 4);
    let expected = serde_json::json!([
        {"name": "x", "train": 1, "val": 0, "test": 1, "no_split": 0},
        {"name": "y", "train": 1, "val": 0, "test": 1, "no_split": 0},
    ]);
    assert_eq!(found["classes"], expected);
    assert_eq!(found["skipped"][0]["name"], "other/5.gif", "in none of the split folders");
    let pair = serde_json::json!([["Test/y/4.png (test)", "training/x/1.png (train)"]]);
    assert_eq!((&found["duplicates"], &found["leaks"], &found["label_conflicts"]), (&pair, &pair, &pair));
    // Without classes and splits: flat, unlabelled.
    let flat = report(&folder.path().join("other"));
    assert_eq!(flat["classes"][0]["name"], "unlabelled");
    refused(&folder.path().join("nowhere"), &[], &["nowhere"]);
    refused(&folder.path().join("training/x/notes.txt"), &[], &["notes.txt", "a folder of images"]);
    fs::create_dir(folder.path().join("empty")).unwrap();
    refused(&folder.path().join("empty"), &[], &["empty", "no images"]);
}

#[test]
fn npz_is_read_stored_and_deflated_and_faults_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.npz");
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        npz(&path, method, &arrays());
        let dataset = macula::data::open(&path).unwrap();
        assert_eq!(dataset.load(1).unwrap().pixels, [6, 7, 8, 9, 10, 11], "{method:?}");
        assert_eq!((dataset.load(0).unwrap().width, dataset.labels(&[0, 1])), (3, vec![Some(0), Some(1)]));
        let mut short = arrays();
        short[0].1.pop();
        npz(&path, method, &short);
        refused(&path, &[], &["set.npz", "train_images", "11 bytes", "12 bytes"]);
    }
    let replace = |index: usize, bytes: Vec<u8>| {
        let mut changed = arrays();
        changed[index].1 = bytes;
        npz(&path, CompressionMethod::Deflated, &changed);
    };
    npz(&path, CompressionMethod::Deflated, &[("images", npy("|u1", "(1, 1, 1)", &[0]))]);
    refused(&path, &[], &["set.npz", "train_images", "images"]);
    npz(&path, CompressionMethod::Deflated, &arrays()[..1]);
    refused(&path, &[], &["set.npz", "train_labels", "train_images"]);
    replace(0, npy("<f4", "(2, 2, 3)", &[0; 48]));
    refused(&path, &[], &["train_images", "<f4", "u8"]);
    replace(1, npy("|u1", "(2, 14)", &[0; 28]));
    refused(&path, &[], &["train_labels", "[2, 14]", "[2, 1]"]);
    replace(1, npy("|i1", "(2,)", &[0, 0xFF]));
    refused(&path, &[], &["train_labels[1]", "-1"]);
    // A decompression bomb: its shape exceeds the limit.
    replace(0, npy("|u1", "(1000000, 1000, 1000)", &[0; 12]));
    refused(&path, &[], &["train_images"]);
    write(&path, b"PK no zip");
    refused(&path, &[], &["set.npz", "zip"]);
}

#[test]
fn cifar_planes_are_read_and_a_truncated_batch_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut record = vec![7];
    record.extend((0..3072).map(|i| (i / 1024 * 100 + i % 1024 % 7) as u8));
    write(&folder.path().join("data_batch_1.bin"), &record.repeat(2));
    write(&folder.path().join("test_batch.bin"), &record);
    write(&folder.path().join("batches.meta.txt"), b"a\nb\nc\nd\ne\nf\ng\nhorse\ni\nj\n\n");
    let dataset = macula::data::open(folder.path()).unwrap();
    assert_eq!((dataset.len(), dataset.class_names[dataset.records[0].label.unwrap()].as_str()), (3, "horse"));
    assert_eq!(dataset.load(1).unwrap().pixels[..6], [0, 100, 200, 1, 101, 201]);
    let found = report(folder.path());
    assert_eq!(found["leaks"][0].as_array().unwrap().len(), 3, "all three are equal");
    write(&folder.path().join("test_batch.bin"), &record[1..]);
    refused(folder.path(), &[], &["test_batch.bin", "3072 bytes", "3073"]);
    write(&folder.path().join("test_batch.bin"), &[vec![10], record[1..].to_vec()].concat());
    refused(folder.path(), &[], &["test_batch[0]", "10"]);
}

#[test]
fn idx_is_read_plain_and_compressed_and_a_wrong_header_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let images = [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3], &[1u8, 2, 3, 4, 5, 6][..]].concat();
    let labels = [0u8, 0, 8, 1, 0, 0, 0, 2, 4, 0];
    let pack = |bytes: &[u8]| {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
    };
    let packed = folder.path().join("t10k-images-idx3-ubyte.gz");
    write(&folder.path().join("train-images-idx3-ubyte"), &images);
    write(&folder.path().join("train-labels-idx1-ubyte"), &labels);
    write(&packed, &pack(&images));
    write(&folder.path().join("t10k-labels-idx1-ubyte.gz"), &pack(&labels));
    let dataset = macula::data::open(folder.path()).unwrap();
    assert_eq!((dataset.len(), &dataset.class_names), (4, &vec!["0".to_owned(), "4".to_owned()]));
    assert_eq!(dataset.load(1).unwrap(), dataset.load(3).unwrap());
    assert_eq!(dataset.load(3).unwrap().pixels, [4, 5, 6]);
    assert_eq!(dataset.records[3].name, "test[1]");
    for (broken, part) in [
        ([&[0, 0, 9, 3], &images[4..]].concat(), "magic number"),
        (images[..images.len() - 1].to_vec(), "5 bytes"),
        ([&images[..], &[0]].concat(), "6 bytes"),
    ] {
        write(&packed, &pack(&broken));
        refused(folder.path(), &[], &["t10k-images-idx3-ubyte.gz", part]);
    }
}

#[test]
fn an_invalid_line_of_a_manifest_is_named() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("in/1.png"), &picture(1, ImageFormat::Png));
    write(&folder.path().join("in/2.png"), &picture(2, ImageFormat::Png));
    let path = folder.path().join("set.csv");
    let good = "path,label,split,group\nin/1.png,ill,train,p1\nin/2.png,,test,p1\n";
    write(&path, good.as_bytes());
    let found = report(&path);
    assert_eq!((&found["images"], &found["groups"], &found["divided_groups"][0]), (&2.into(), &1.into(), &"p1".into()));
    // An invalid line is skipped with its number, and an error only with --strict.
    for (text, parts) in [
        (good.replace("2.png", "3.png"), ["set.csv, line 3", "3.png"]),
        (good.replace("test,", "exam,"), ["set.csv, line 3", "\"exam\""]),
        (good.replace("in/2.png,", ""), ["set.csv, line 3", "fields"]),
    ] {
        write(&path, text.as_bytes());
        let found = report(&path);
        assert_eq!((&found["images"], found["skipped"].as_array().unwrap().len()), (&1.into(), 1), "{text}");
        let skipped = found["skipped"][0].to_string().replace('\\', "");
        assert!(parts.iter().all(|part| skipped.contains(part)), "{skipped}");
        refused(&path, &["--strict"], &parts);
    }
    let mut bytes = good.as_bytes().to_vec();
    bytes.extend(b"in/\xFF.png,ill,train,p2\n");
    write(&path, &bytes);
    assert_eq!(report(&path)["skipped"][0]["name"], "set.csv, line 4");
    for (text, parts) in [
        (good.replace("path,", "place,"), ["line 1", "path"]),
        ("path,label\n".to_owned(), ["set.csv", "no images"]),
        ("path,label\nno.png,a\nnot.png,b\n".to_owned(), ["2 images", "no.png"]),
    ] {
        write(&path, text.as_bytes());
        refused(&path, &[], &parts);
    }
}

#[test]
fn manifests_of_common_spreadsheets_are_read() {
    let folder = tempfile::tempdir().unwrap();
    for index in 0..9 {
        write(&folder.path().join(format!("{index}.png")), &picture(index, ImageFormat::Png));
    }
    let path = folder.path().join("set.csv");
    write(&path, b"\xEF\xBB\xBFFile;Diagnosis;Patient ID;Set;Remarks\r\n0.png;ill;7;training;\"two\r\nlines\"\r\n1.png;well;NA;test;\r\n");
    let dataset = macula::data::open(&path).unwrap();
    assert_eq!((dataset.len(), &dataset.class_names[..]), (2, &["ill".to_owned(), "well".to_owned()][..]));
    assert_eq!(dataset.records[0].group.as_deref(), Some("7"));
    assert_eq!((dataset.records[1].split, &dataset.records[1].group), (Some(macula::data::Split::Test), &None));
    let kinds = kinds(&report(&path));
    assert_eq!(kinds[..2], ["columns_used", "columns_unused"]);
    // Fold numbers are not splits.
    write(&path, b"path\tclass\tfold\n0.png\ta\t0\n1.png\tb\t1\n");
    let found = report(&path);
    assert_eq!((&found["classes"][0]["no_split"], &found["skipped"]), (&1.into(), &serde_json::json!([])));
    assert!(found["remarks"].to_string().contains("fold"));
    // Several spellings of one label, and of no label.
    write(
        &path,
        b"path,label\n0.png,0\n1.png,0.0\n2.png,1\n3.png,1.0\n4.png,NaN\n5.png,nan\n6.png,None\n7.png,N/A\n8.png,\n",
    );
    let dataset = macula::data::open(&path).unwrap();
    let labels: Vec<_> = dataset.labels(&dataset.indices(None));
    assert_eq!(labels[..4], [Some(0), Some(0), Some(1), Some(1)]);
    assert!(labels[4..].iter().all(Option::is_none));
    assert_eq!(dataset.class_names, ["0", "1"]);
    write(&path, &[0xFF, 0xFE, b'p', 0]);
    refused(&path, &[], &["UTF-16"]);
}

fn kinds(report: &Value) -> Vec<String> {
    report["remarks"].as_array().unwrap().iter().map(|remark| remark["kind"].as_str().unwrap().to_owned()).collect()
}

/// Unreadable entries are skipped and counted; the rest of the folder is read.
#[cfg(unix)]
#[test]
fn unreadable_entries_do_not_refuse_a_folder() {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write(&at("a/1.png"), &picture(1, ImageFormat::Png));
    write(&at("b/1.png"), &picture(2, ImageFormat::Png));
    symlink("nowhere.png", at("a/2.png")).unwrap();
    symlink("..", at("a/up")).unwrap();
    symlink("/dev/zero", at("b/zero.png")).unwrap();
    write(&at("a").join(std::ffi::OsStr::from_bytes(b"\xFF.png")), &picture(3, ImageFormat::Png));
    assert!(Command::new("mkfifo").arg(at("b/pipe")).status().unwrap().success());
    write(&at("closed/3.png"), &picture(4, ImageFormat::Png));
    fs::set_permissions(at("closed"), fs::Permissions::from_mode(0o000)).unwrap();
    let is_root = fs::read_dir(at("closed")).is_ok();
    let found = report(folder.path());
    fs::set_permissions(at("closed"), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(found["images"], if is_root { 3 } else { 2 });
    let skipped: Vec<&str> =
        found["skipped"].as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect();
    let expected = ["a/2.png", "a/\\xff.png", "a/up", "b/pipe", "b/zero.png", "closed"];
    assert_eq!(skipped, expected[..if is_root { 5 } else { 6 }]);
    refused(folder.path(), &["--strict"], &["a/2.png"]);
    // A manifest that is a device file, and a manifest whose images are.
    symlink("/dev/zero", at("set.csv")).unwrap();
    refused(&at("set.csv"), &[], &["set.csv"]);
    write(&at("own.csv"), b"path\nb/pipe\nb/zero.png\na/1.png\n");
    assert_eq!(report(&at("own.csv"))["skipped"].as_array().unwrap().len(), 2);
    fs::remove_file(at("a/1.png")).unwrap();
    fs::remove_file(at("a/up")).unwrap();
    refused(&at("a"), &[], &["2 images", "2.png"]);
}

#[test]
fn images_are_recognised_by_content_and_other_files_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for (index, name) in ["a/0.png", "a/1.jfif", "a/2.JPE", "b/3"].into_iter().enumerate() {
        let format = if name.ends_with("png") { ImageFormat::Png } else { ImageFormat::Jpeg };
        write(&at(name), &picture(index as u32, format));
    }
    let nifti = [&[0; 344][..], b"n+1\0"].concat();
    for (name, bytes) in [("a/x.nii", &nifti[..]), ("b/IM1", &nifti), ("b/n.txt", b"text"), ("b/m.TXT", b"text")] {
        write(&at(name), bytes);
    }
    let found = report(folder.path());
    assert_eq!((&found["images"], &found["skipped"]), (&4.into(), &serde_json::json!([])));
    let remark = &found["remarks"][0];
    assert_eq!(remark["kind"], "passed_over");
    assert_eq!((&remark["files"][0]["ending"], &remark["files"][0]["count"]), (&".txt".into(), &2.into()));
    assert_eq!((&remark["files"][1]["ending"], &remark["files"][1]["format"]), (&"".into(), &"NIfTI".into()));
    assert_eq!((&remark["files"][2]["ending"], &remark["files"][2]["format"]), (&".nii".into(), &"NIfTI".into()));
    let none = tempfile::tempdir().unwrap();
    write(&none.path().join("x.nii"), &nifti);
    refused(none.path(), &[], &["no images", ".nii"]);
}

#[test]
fn several_idx_sets_are_refused_and_one_can_be_opened() {
    let folder = tempfile::tempdir().unwrap();
    let images = [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3], &[1u8, 2, 3, 4, 5, 6][..]].concat();
    for set in ["emnist-letters", "emnist-digits"] {
        for split in ["train", "test"] {
            write(&folder.path().join(format!("{set}-{split}-images-idx3-ubyte")), &images);
            write(&folder.path().join(format!("{set}-{split}-labels-idx1-ubyte")), &[0, 0, 8, 1, 0, 0, 0, 2, 7, 26]);
        }
    }
    refused(folder.path(), &[], &["emnist-digits", "emnist-letters"]);
    let one = macula::data::open(&folder.path().join("emnist-letters")).unwrap();
    assert_eq!((one.len(), &one.class_names[..]), (4, &["7".to_owned(), "26".to_owned()][..]));
    assert_eq!(one.indices(Some(macula::data::Split::Test)).len(), 2);
    refused(&folder.path().join("emnist-words"), &[], &["emnist-words"]);
}

/// A header of a few bytes cannot make the program allocate memory without limit.
#[test]
fn an_index_is_refused_before_it_is_allocated() {
    let folder = tempfile::tempdir().unwrap();
    let idx = folder.path().join("train-images-idx3-ubyte");
    let count = 60_000_000u32;
    write(&idx, &[&[0, 0, 8, 3][..], &count.to_be_bytes(), &[0, 0, 0, 1, 0, 0, 0, 1]].concat());
    fs::File::options().write(true).open(&idx).unwrap().set_len(16 + u64::from(count)).unwrap();
    refused(&idx, &[], &["60000000 images", "1073741824"]);
    refused(Path::new("phantoms:16:10000000"), &[], &["10000000 images"]);
    let path = folder.path().join("header.npz");
    let header = [&b"\x93NUMPY\x02\x00"[..], &u32::MAX.to_le_bytes()].concat();
    npz(&path, CompressionMethod::Stored, &[("train_images", header)]);
    refused(&path, &[], &["train_images", "4294967295 bytes"]);
}

#[test]
fn only_labels_that_occur_in_arrays_are_classes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.npz");
    let pixels = npy("|u1", "(2, 2, 3)", &(0..12).collect::<Vec<u8>>());
    let open = |labels: Vec<u8>| {
        npz(&path, CompressionMethod::Stored, &[("train_images", pixels.clone()), ("train_labels", labels)]);
        macula::data::open(&path).unwrap()
    };
    let from_one = open(npy("|u1", "(2,)", &[9, 1]));
    assert_eq!(
        (&from_one.class_names[..], from_one.labels(&[0, 1])),
        (&["1".to_owned(), "9".to_owned()][..], vec![Some(1), Some(0)])
    );
    let floats = open(npy("<f4", "(2,)", &[2f32.to_le_bytes(), f32::NAN.to_le_bytes()].concat()));
    assert_eq!((&floats.class_names[..], floats.labels(&[0, 1])), (&["2".to_owned()][..], vec![Some(0), None]));
    let words = open(npy("|S2", "(2,)", b"noNA"));
    assert_eq!((&words.class_names[..], words.labels(&[0, 1])), (&["no".to_owned()][..], vec![Some(0), None]));
    npz(
        &path,
        CompressionMethod::Stored,
        &[
            ("train_images", pixels.clone()),
            ("train_labels", npy("<f4", "(2,)", &[0.5f32.to_le_bytes(), 1f32.to_le_bytes()].concat())),
        ],
    );
    refused(&path, &[], &["train_labels[0]", "0.5"]);
}

#[test]
fn grey_images_in_colour_files_give_a_remark() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("1.png"), &picture(1, ImageFormat::Png));
    write(&folder.path().join("2.png"), &picture(2, ImageFormat::Png));
    let found = report(folder.path());
    assert_eq!((&found["grey_in_rgb"], kinds(&found)), (&2.into(), vec!["grey_in_colour".to_owned()]));
    let red = image::RgbImage::from_pixel(4, 4, image::Rgb([200, 0, 0]));
    red.save(folder.path().join("3.png")).unwrap();
    assert!(kinds(&report(folder.path())).is_empty());
}

#[test]
fn phantoms_need_no_files_and_a_sheet_is_written_atomically() {
    let folder = tempfile::tempdir().unwrap();
    let sheet = folder.path().join("sheet.png");
    let run = macula(&["phantoms:16:60", "--sheet", sheet.to_str().unwrap()]);
    assert_eq!(run.code, 0, "{}", run.error);
    assert_eq!(macula::data::decode::read_image(&sheet).unwrap().channels, 3);
    refused(Path::new("phantoms:8"), &[], &["phantoms:8", "from 16 to"]);
    refused(Path::new("phantoms:32:10:1"), &[], &["phantoms:32:10:1"]);
    let nowhere = folder.path().join("no/sheet.png");
    refused(Path::new("phantoms:16:60"), &["--sheet", nowhere.to_str().unwrap()], &["no/sheet.png"]);
}

/// `macula data … | head -1`: the reader closes the pipe before everything is printed.
#[test]
fn a_closed_pipe_is_not_an_error() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_macula"));
    let run = command.args(["data", "phantoms"]).stdout(writer).output().unwrap();
    assert_eq!((run.status.code(), String::from_utf8(run.stderr).unwrap().as_str()), (Some(141), ""));
}

/// Commands leave out unreadable images; with `--strict` they are an error.
#[test]
fn every_command_leaves_out_unreadable_images() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    for index in 0..16u32 {
        let name = format!("{}/{index}.png", ["a", "b"][index as usize % 2]);
        write(&images.join(name), &picture(index, ImageFormat::Png));
    }
    write(&images.join("a/broken.png"), b"no image");
    let out = folder.path().join("features.npy");
    let [images, out] = [&images, &out].map(|path| path.to_str().unwrap());
    let store = folder.path().join("s.store");
    let device = ["--device", store.to_str().unwrap(), "--encoder", "raw-pixels"];
    for arguments in [
        &["embed", "--encoder", "raw-pixels", "--data", images, "--out", out, "--force"][..],
        &["eval", "knn", "--encoder", "raw-pixels", "--data", images],
        &[&["learn", "--data", images, "--class", "all"][..], &device].concat(),
        &[&["learn", "--data", images, "--shots", "8"][..], &device].concat(),
    ] {
        let run = |strict: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_macula"));
            command.args(arguments).args(strict).output().unwrap()
        };
        let strict = run(&["--strict"]);
        let error = String::from_utf8_lossy(&strict.stderr).into_owned();
        assert_eq!(strict.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(error.contains("broken.png"), "{arguments:?}: {error}");
        let lenient = run(&[]);
        let error = String::from_utf8_lossy(&lenient.stderr).into_owned();
        assert_eq!(lenient.status.code(), Some(0), "{arguments:?}: {error}");
        if store.exists() {
            fs::remove_file(&store).unwrap();
        }
    }
    // The header of the file has the number of rows.
    assert!(String::from_utf8_lossy(&fs::read(out).unwrap()[..128]).contains("(16, "));
}

/// Two patients with two images each, one of them with two frames, and a file that names nobody.
#[cfg(feature = "dicom")]
fn draw_patients(folder: &Path) {
    let samples = |seed: u16| (0..48u16).map(|index| index * 37 + seed * 211).collect::<Vec<u16>>();
    for (number, name) in ["a/1.dcm", "a/IM2", "b/3.dcm", "b/4.ima"].into_iter().enumerate() {
        let patient = number / 2;
        let (id, study) = (format!("SECRET-{patient}"), format!("1.2.3.{number}"));
        let grey = dicom::Dicom::grey(8, 6, &samples(number as u16));
        let side = if number % 2 == 0 { "L" } else { "R" };
        write(&folder.join(name), &grey.of_patient("Unspeakable^Jane", &id, &study, side).bytes());
    }
    let frames = dicom::Dicom::grey(8, 6, &[samples(8), samples(9)].concat()).text(0x0028_0008, b"IS", "2");
    write(&folder.join("b/nobody"), &frames.bytes());
    write(&folder.join("DICOMDIR"), &dicom::file(dicom::EXPLICIT, &[]));
}

#[cfg(feature = "dicom")]
#[test]
fn dicom_files_are_grouped_and_their_identifiers_are_in_no_output() {
    let folder = tempfile::tempdir().unwrap();
    draw_patients(folder.path());
    let path = folder.path().to_str().unwrap();
    let mut outputs = Vec::new();
    for (by, groups) in [("patient", 2), ("study", 4), ("side", 4), ("none", 0)] {
        let run = macula(&[path, "--json", "--dicom-group", by]);
        assert_eq!(run.code, 0, "{}", run.error);
        let found: Value = serde_json::from_str(&run.output).unwrap();
        assert_eq!((&found["images"], &found["groups"]), (&5.into(), &groups.into()), "by {by}");
        outputs.extend([run.output, run.error]);
    }
    // The frames of a file without a patient stay together.
    for (frame, images, groups) in [("split", 6, 3), ("first", 5, 2)] {
        let run = macula(&[path, "--json", "--frame", frame]);
        let found: Value = serde_json::from_str(&run.output).unwrap();
        assert_eq!((&found["images"], &found["groups"]), (&images.into(), &groups.into()), "{frame}");
        outputs.extend([run.output, run.error]);
    }
    let text = macula(&[path]);
    outputs.extend([text.output, text.error]);
    // A damaged file is named with its reason.
    let whole = fs::read(folder.path().join("a/1.dcm")).unwrap();
    write(&folder.path().join("a/cut.dcm"), &whole[..whole.len() - 9]);
    let run = macula(&[path, "--strict"]);
    assert!(run.code == 2 && run.error.contains("PixelData"), "{}", run.error);
    outputs.extend([run.output, run.error]);
    for output in &outputs {
        for secret in ["Unspeakable", "Jane", "SECRET", "1.2.3."] {
            assert!(!output.contains(secret), "{secret} is in {output}");
        }
    }
}

#[cfg(feature = "dicom")]
#[test]
fn the_same_files_give_the_same_groups() {
    let folder = tempfile::tempdir().unwrap();
    draw_patients(folder.path());
    let groups = || {
        let dataset = macula::data::open(folder.path()).unwrap();
        dataset.records.iter().map(|record| record.group.clone()).collect::<Vec<_>>()
    };
    let [one, two] = ["DICOM patient 1", "DICOM patient 2"].map(|name| Some(name.to_owned()));
    assert_eq!(groups(), [one.clone(), one, two.clone(), two, None]);
    assert_eq!(groups(), groups());
}

/// Anonymised files often have one PatientID, and then no image can be a test image.
#[cfg(feature = "dicom")]
#[test]
fn files_of_one_identifier_give_a_remark() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..3u16 {
        let grey = dicom::Dicom::grey(8, 6, &[number; 48]);
        let study = format!("1.2.3.{number}");
        write(&folder.path().join(format!("{number}.dcm")), &grey.of_patient("", "ANONYMOUS", &study, "").bytes());
    }
    let remarked = |by: &str| {
        let run = macula(&[folder.path().to_str().unwrap(), "--json", "--dicom-group", by]);
        let found: Value = serde_json::from_str(&run.output).unwrap();
        let remarks = found["remarks"].as_array().unwrap().clone();
        remarks.iter().find(|remark| remark["kind"] == "one_dicom_group").map(|remark| remark["images"].clone())
    };
    assert_eq!(["patient", "study", "none"].map(remarked), [Some(Value::from(3)), None, None]);
}
