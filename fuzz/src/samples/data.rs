//! Datasets as inputs of their targets.

type Seeds<const N: usize> = [(&'static str, Vec<u8>); N];

/// A slice after its length.
fn slice(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_le_bytes(), bytes].concat()
}

/// A member with a header: array, flags, type and number of sides, four sides, values.
fn member(name: u8, flags: u8, kind: u8, sides: [u8; 4], values: &[u8]) -> Vec<u8> {
    [&[name, flags, kind][..], &sides, &slice(values)].concat()
}

/// Archives: grey and colour, stored and compressed, with groups as numbers and as text.
pub fn npz() -> Seeds<6> {
    const THREE_SIDES: u8 = 2 << 4;
    const FOUR_SIDES: u8 = 3 << 4;
    let grey = |name, flags| member(name, flags, THREE_SIDES, [3, 4, 5, 0], &[1, 90, 200]);
    let colour = |name, flags| member(name, flags, FOUR_SIDES, [2, 3, 4, 3], &[7, 80, 255, 0]);
    let labels = |name, count, kind: u8| member(name, 0, kind | 1 << 4, [count, 1, 0, 0], &[0, 0, 0, 0, 0, 0, 0, 0]);
    let text = member(2, 0, 5, [3, 0, 0, 0], b"a\0\0\0b\0\0\0\0\0\0\0");
    [
        ("grey", [&[0][..], &grey(0, 0), &labels(1, 3, 0)].concat()),
        ("compressed", [&[0][..], &grey(0, 1), &labels(1, 3, 1), &colour(6, 1), &labels(7, 2, 2)].concat()),
        ("groups", [&[0][..], &grey(0, 0), &labels(1, 3, 0), &labels(2, 3, 3)].concat()),
        ("text-groups", [&[0][..], &grey(0, 0), &labels(1, 3, 0), &text].concat()),
        ("fortran", [&[0][..], &member(0, 0, 0x40 | THREE_SIDES, [3, 4, 5, 0], &[1]), &labels(1, 3, 0)].concat()),
        ("whole-member", [&[0, 0, 2][..], &slice(b"\x93NUMPY\x01\x00v\x00{'descr': '|u1'")].concat()),
    ]
}

/// Pairs of files, compressed and plain, with missing or too few labels.
pub fn idx() -> Seeds<6> {
    let pair = |flags: u8, count: u8, labels: u8| {
        let head = [flags, count, 0, 4, 3, labels, 0];
        [&head[..], &slice(&[9, 80, 255]), &[0, 1, 2]].concat()
    };
    let images = [&[0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2][..], &[5, 6]].concat();
    let whole = [&[1, 0, 0, 0, 0, 0, 0][..], &slice(&images), &[0, 0, 8, 1, 0, 0, 0, 1, 3]].concat();
    [
        ("plain", pair(0, 5, 5)),
        ("no-labels", pair(2, 5, 5)),
        ("packed", pair(4 | 8, 6, 6)),
        ("few-labels", pair(0, 5, 4)),
        ("as-they-are", whole),
        ("not-packed", pair(16, 2, 2)),
    ]
}

/// Manifests as spreadsheets write them.
pub fn csv() -> Seeds<6> {
    [
        ("all-columns", b"path,label,split,group\na.png,cat,train,p1\nb.png,dog,test,p2\nsub/c.png,,val,\n".to_vec()),
        ("path-only", b"path\na.png\nb.png\n".to_vec()),
        ("spreadsheet", b"\xEF\xBB\xBFPath, Label\r\n\"a.png\",\"1.0\"\r\nb.png,1\r\nbroken.png,NaN\r\n".to_vec()),
        ("missing-file", b"path,label\na.png,x\nnowhere.png,y\n".to_vec()),
        ("other-words", b"filename,class,patient_id\na.png,A,1\nb.png, a,2\n".to_vec()),
        ("not-utf-8", b"path,label\na.png,\xFF\xFE\n../manifest/b.png,x\n".to_vec()),
    ]
}
