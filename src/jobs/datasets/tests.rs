use std::io::Write;

use super::*;
use crate::pipelines::{
    edit_type::EditType,
    image::{OutputFormat, RgbImage, encode},
};

const LIMITS: ArchiveLimits = ArchiveLimits {
    max_entries: 5,
    max_file_bytes: 4 << 20,
    max_total_bytes: 6 << 20,
    max_ratio: 100,
};

fn limits() -> SetLimits {
    SetLimits {
        archive: LIMITS,
        images: ImageLimits {
            max_pixels: 1 << 20,
            max_side_px: 1024,
            max_bytes: 1 << 20,
        },
        max_rows: 4,
    }
}

fn png(shade: u8) -> Vec<u8> {
    let picture = RgbImage::from_pixel(8, 8, image::Rgb([shade; 3]));
    encode(&picture, &OutputFormat::Png).unwrap()
}

fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        let options = zip::write::SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Deflated);
        zip.start_file(*name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn tar(files: &[(&str, &[u8])], gzipped: bool) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        // `set_path` itself refuses what climbs
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        tar.append(&header, *bytes).unwrap();
    }
    let bytes = tar.into_inner().unwrap();
    if !gzipped {
        return bytes;
    }
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(&bytes).unwrap();
    gz.finish().unwrap()
}

fn read(sent: Sent) -> Result<Checked, DatasetError> {
    let usable = rows::read(sent, &limits())?;
    Ok(Checked::new(usable, None))
}

const CSV: &str =
    "image,instruction,edit_type\na.png,make it red,color\n b.png ,\"remove the cat, please\",\n";

#[test]
fn zip_tar_and_files_are_the_same_set() {
    let (a, b) = (png(1), png(2));
    let files: [(&str, &[u8]); 3] = [
        ("set/rows.csv", CSV.as_bytes()),
        ("set/a.png", &a),
        ("set/./b.png", &b),
    ];
    let zipped = read(Sent::Archive(zip(&files))).unwrap();
    assert_eq!((zipped.report.rows, zipped.images.len()), (2, 2));
    assert_eq!(zipped.report.edit_types[&EditType::Remove], 1);
    assert_eq!(
        (
            zipped.report.filled.edit_type,
            zipped.report.missing_captions
        ),
        (1, 2)
    );
    for gzipped in [true, false] {
        let tarred = read(Sent::Archive(tar(&files, gzipped))).unwrap();
        assert_eq!(tarred.report, zipped.report);
    }
    let apart = [("t.jsonl", CSV), ("a.png", ""), ("b.png", "")];
    let mut apart: SentFiles = apart.map(|(name, text)| (name.into(), text.into())).into();
    apart.insert("a.png".into(), a);
    apart.insert("b.png".into(), b);
    let lines = "{\"image\":\"a.png\",\"instruction\":\"make it red\",\"edit_type\":\"color\"}\n\n{\"image\":\"b.png\",\"instruction\":\"remove the cat, please\"}";
    apart.insert("t.jsonl".into(), lines.into());
    assert_eq!(read(Sent::Files(apart)).unwrap().report, zipped.report);
}

#[test]
fn archives_that_are_traps_are_refused() {
    let bomb = vec![0; 3 << 20];
    let refused = |bytes: Vec<u8>| unpack(&bytes, &LIMITS).unwrap_err().to_string();
    for name in ["../x", "/x", "a/../../x", "a\\..\\x", "c:x"] {
        let told = refused(tar(&[(name, b"x")], false));
        assert!(told.contains("leads out"), "{name}: {told}");
        let told = refused(zip(&[(name, b"x")]));
        assert!(told.contains("leads out"), "{name}: {told}");
    }
    assert!(refused(zip(&[("a", &bomb)])).contains("for each packed one"));
    assert!(refused(tar(&[("a", &bomb)], true)).contains("for each packed one"));
    assert!(refused(tar(&[("a", &vec![7; 5 << 20])], false)).contains("bytes of \"a\""));
    let three = tar(&[("a", &bomb), ("b", &bomb), ("c", &bomb)], false);
    assert!(refused(three).contains("unpacked bytes"));
    let many: Vec<_> = (0..6).map(|i| format!("f{i}")).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|name| (name.as_str(), &b"x"[..])).collect();
    assert!(refused(zip(&many)).contains("entries"));
    assert!(refused(tar(&[("a", b"1"), ("./a", b"2")], false)).contains("twice"));
    assert!(refused(b"not an archive".to_vec()).contains("archive"));
    let mut links = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    links
        .append_link(&mut header, "a.png", "/etc/passwd")
        .unwrap();
    assert!(refused(links.into_inner().unwrap()).contains("is a link"));
}

#[test]
fn every_bad_row_is_named_and_what_is_left_out_is_reported() {
    let item = |instruction: &str, image: Vec<u8>| Item {
        row: SentRow {
            instruction: instruction.into(),
            ..SentRow::default()
        },
        image,
    };
    let sent = vec![
        item("a", png(1)),
        item("a", png(1)),
        item("b", b"no picture".to_vec()),
    ];
    let set = read(Sent::Items(sent)).unwrap();
    assert_eq!(set.report.rows, 1);
    assert_eq!(set.report.duplicates[0].line, 2);
    assert_eq!(set.report.unreadable[0].line, 3);
    assert!(matches!(
        read(Sent::Items(vec![])),
        Err(DatasetError::Empty)
    ));
    let five = (0..5).map(|i| item(&format!("{i}"), png(1)));
    let five = read(Sent::Items(five.collect())).unwrap_err();
    assert!(matches!(
        five,
        DatasetError::TooManyRows { rows: 5, max: 4 }
    ));
    let table = "image,instruction,colour\na.png,x,red\n../b.png,y,\n";
    let files = SentFiles::from([("t.csv".to_owned(), table.into())]);
    let Err(DatasetError::Rows { problems }) = read(Sent::Files(files)) else {
        panic!()
    };
    assert!(
        problems[0]
            .to_string()
            .contains("line 2: unknown field `colour`"),
        "{problems:?}"
    );
    let outside = "image,instruction\n../b.png,y\na.png, \n";
    let files = SentFiles::from([("t.csv".to_owned(), outside.into())]);
    let Err(DatasetError::Rows { problems }) = read(Sent::Files(files)) else {
        panic!()
    };
    assert_eq!(problems.len(), 2);
    assert!(problems[0].problem.contains("leads out of the upload"));
    let none = read(Sent::Files(SentFiles::new())).unwrap_err();
    assert!(none.to_string().contains("no table"), "{none}");
}

#[test]
fn the_demo_set_is_of_one_type_and_always_the_same() {
    let draw = |name| BuiltIn::named(name).unwrap().draw().unwrap().report;
    let (once, again) = (draw(DEMO), draw(DEMO));
    assert_eq!(once, again);
    assert_eq!(once.edit_types.len(), 1);
    assert!(once.rows > 80, "{once:?}");
    let replayed = draw(DEMO_REPLAY);
    assert_eq!(replayed.edit_types.len(), 5, "{replayed:?}");
}
