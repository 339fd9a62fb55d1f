//! The pictures of a report, `report.json`: sheets of training images, and a map of their features.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::tsne::{Settings, tsne};
use crate::data::{Image, evenly_spread};
use crate::files::{ReadError, WriteError, read_text_bounded, write_private};
use crate::measure::{Features, nearest, principal_components};
use crate::pretrain::Embedded;
use crate::report::html::{png_of_uri, png_uri};
use crate::report::sheet::{grid, png, shrunk};

/// Name of the file in a run folder.
pub const PICTURES: &str = "report.json";

/// Version of the file.
const VERSION: u32 = 1;

/// Most bytes of the file. Two sheets have at most 1.2 MB of pixels each.
const BYTES_MAX: u64 = 16 << 20;

/// Largest side of an image on a sheet, in pixels; larger ones are shrunk.
const SIDE_MAX: usize = 64;

/// Views of an image on the sheet at most.
const VIEWS_MAX: usize = 8;

/// Largest width of a sheet in pixels: an image with its views, and the white lines between them.
const WIDTH_MAX: usize = (1 + VIEWS_MAX) * (SIDE_MAX + 2) + 2;

/// Images whose neighbours are shown, and neighbours of each.
const QUERIES: usize = 6;
const NEIGHBOURS: usize = 5;

/// Principal components that the t-SNE map is computed from.
const COMPONENTS: usize = 50;

/// Sheets and map.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pictures {
    version: u32,
    /// A row per training image: the image, then views of it.
    pub views: Option<Sheet>,
    /// A row per training image: the image, then those with the most similar features.
    pub neighbours: Option<Sheet>,
    /// The features in two dimensions.
    pub map: Option<Map>,
}

/// Images in rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sheet {
    /// The sheet as an address of a PNG picture ([`png_uri`]).
    pub picture: String,
    /// Its width in pixels.
    pub width: usize,
    /// Its rows.
    pub rows: usize,
    /// What the rows show, one line each; may be empty.
    pub captions: Vec<String>,
}

/// Features of images in two dimensions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Map {
    /// Class names in label order.
    pub class_names: Vec<String>,
    /// Label of each image.
    pub labels: Vec<Option<usize>>,
    /// First two principal components of each image.
    pub principal: Vec<[f64; 2]>,
    /// Their shares of the variance.
    pub shares: [f64; 2],
    /// t-SNE of each image; empty with too few images.
    pub tsne: Vec<[f64; 2]>,
}

impl Pictures {
    /// Reads the pictures in the folder of a run; none if there is no file.
    ///
    /// # Errors
    /// A text that names the file and what is wrong with it.
    pub fn read(folder: &Path) -> Result<Self, String> {
        let path = folder.join(PICTURES);
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = read_text_bounded(&path, BYTES_MAX).map_err(|error: ReadError| error.to_string())?;
        let read: Self = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        read.check().map_err(|reason| format!("{}: {reason}", path.display()))?;
        Ok(read)
    }

    fn check(&self) -> Result<(), String> {
        if self.version != VERSION {
            return Err(format!("version {}; this program reads version {VERSION}", self.version));
        }
        for sheet in [&self.views, &self.neighbours].into_iter().flatten() {
            if png_of_uri(&sheet.picture).is_none() {
                return Err("a sheet is not a PNG picture".to_owned());
            }
            if sheet.width > WIDTH_MAX {
                return Err(format!("a sheet {} pixels wide; at most {WIDTH_MAX} are allowed", sheet.width));
            }
        }
        let Some(map) = &self.map else { return Ok(()) };
        let images = map.labels.len();
        if map.principal.len() != images || !(map.tsne.is_empty() || map.tsne.len() == images) {
            return Err(format!("the map has {images} labels and {} points", map.principal.len()));
        }
        match map.labels.iter().flatten().find(|&&label| label >= map.class_names.len()) {
            Some(label) => Err(format!("label {label} of {} classes", map.class_names.len())),
            None => Ok(()),
        }
    }

    /// Writes the pictures into the folder of a run, readable by its owner alone: they are training images.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&mut self, folder: &Path) -> Result<(), WriteError> {
        self.version = VERSION;
        let path = folder.join(PICTURES);
        let failed = |error: serde_json::Error| WriteError { path: path.display().to_string(), source: error.into() };
        let text = serde_json::to_vec(self).map_err(failed)?;
        write_private(&path, &text)
    }

    /// Draws the sheet of views. Neighbours and map of a run that goes on are out of date.
    pub fn set_views(&mut self, images: &[Image], views: &[Vec<Image>]) {
        (self.neighbours, self.map) = (None, None);
        let rows = images.iter().zip(views);
        let rows = rows.map(|(image, views)| std::iter::once(image).chain(views.iter().take(VIEWS_MAX)).collect());
        self.views = sheet(rows.collect(), Vec::new());
    }

    /// Draws the sheet of neighbours and computes the map.
    pub fn set_features(&mut self, embedded: &Embedded<'_>) {
        self.neighbours = neighbours(embedded);
        self.map = Some(map(embedded));
    }
}

/// `rows` of equally many images of one size as a sheet; `None` without images.
fn sheet(rows: Vec<Vec<&Image>>, captions: Vec<String>) -> Option<Sheet> {
    let columns = rows.iter().map(Vec::len).min().filter(|&columns| columns > 0)?;
    let shown = rows.iter().flat_map(|row| &row[..columns]);
    let tiles: Vec<Image> = shown.map(|image| shrunk(image, SIDE_MAX)).collect();
    let drawn = grid(&tiles, columns);
    // Grey sheets are a third of the size.
    let drawn = if tiles.iter().all(|tile| tile.channels == 1) { drawn.to_grey() } else { drawn };
    let picture = png_uri(&png(&drawn).ok()?);
    Some(Sheet { picture, width: drawn.width, rows: rows.len(), captions })
}

fn class_of<'a>(embedded: &Embedded<'a>, index: usize) -> &'a str {
    let name = embedded.labels[index].and_then(|label| embedded.class_names.get(label));
    name.map_or("unlabelled", String::as_str)
}

fn neighbours(embedded: &Embedded<'_>) -> Option<Sheet> {
    let all: Vec<usize> = (0..embedded.labels.len()).collect();
    let queries = evenly_spread(&all, QUERIES);
    // One more, because each image is its own neighbour.
    let found = nearest(embedded.features, &embedded.features.select(&queries), NEIGHBOURS + 1);
    let rows: Vec<Vec<usize>> = queries
        .iter()
        .zip(found)
        .map(|(&query, mut near)| {
            near.retain(|&index| index != query);
            near.truncate(NEIGHBOURS);
            std::iter::once(query).chain(near).collect()
        })
        .collect();
    let images: Vec<Vec<Image>> = rows
        .iter()
        .map(|row| row.iter().map(|&index| (embedded.load)(index)).collect::<Option<Vec<Image>>>())
        .collect::<Option<_>>()?;
    let is_labelled = embedded.labels.iter().any(Option::is_some);
    let caption = |row: &Vec<usize>| {
        let near: Vec<&str> = row[1..].iter().map(|&index| class_of(embedded, index)).collect();
        format!("{}: {}", class_of(embedded, row[0]), near.join(", "))
    };
    let captions = if is_labelled { rows.iter().map(caption).collect() } else { Vec::new() };
    sheet(images.iter().map(|row| row.iter().collect()).collect(), captions)
}

fn map(embedded: &Embedded<'_>) -> Map {
    let features: &Features = embedded.features;
    let found = principal_components(features, COMPONENTS);
    let dim = found.dim;
    let principal: Vec<[f64; 2]> = match dim {
        0 => vec![[0.0; 2]; features.len()],
        dim => found.rows.chunks_exact(dim).map(|row| [row[0], row.get(1).copied().unwrap_or(0.0)]).collect(),
    };
    let share = |component: usize| found.shares.get(component).copied().unwrap_or(0.0);
    Map {
        class_names: embedded.class_names.to_vec(),
        labels: embedded.labels.to_vec(),
        tsne: tsne(&found.rows, dim, &principal, Settings::default()).unwrap_or_default(),
        principal,
        shares: [share(0), share(1)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Preprocessing, open_named};

    fn embedded(check: impl FnOnce(Embedded<'_>)) {
        let dataset = open_named("phantoms:80:24", 1).unwrap();
        let pixels = |index| Preprocessing::unit(1, 80, 80).to_pixels(&dataset.load(index).unwrap());
        let rows =
            (0..24).flat_map(|index| pixels(index).pixels[..12].iter().map(|&p| f32::from(p)).collect::<Vec<_>>());
        let features = Features { dim: 12, rows: rows.collect() };
        let labels = dataset.labels(&(0..24).collect::<Vec<_>>());
        let load = |index| Some(pixels(index));
        check(Embedded { features: &features, labels: &labels, class_names: &dataset.class_names, load: &load });
    }

    #[test]
    fn pictures_are_read_back_and_their_images_shrunk() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Pictures::read(folder.path()).unwrap(), Pictures::default(), "no file");
        embedded(|embedded| {
            let mut pictures = Pictures::default();
            let image = (embedded.load)(0).unwrap();
            pictures.set_views(std::slice::from_ref(&image), &[vec![image.clone(); 2]]);
            pictures.set_features(&embedded);
            pictures.write(folder.path()).unwrap();
            assert_eq!(Pictures::read(folder.path()).unwrap(), pictures);
            let (views, neighbours) = (pictures.views.unwrap(), pictures.neighbours.unwrap());
            assert_eq!((views.rows, views.width), (1, 3 * (SIDE_MAX + 2) + 2));
            assert_eq!((neighbours.rows, neighbours.captions.len()), (QUERIES, QUERIES));
            let map = pictures.map.unwrap();
            assert_eq!((map.labels.len(), map.principal.len(), map.tsne.len()), (24, 24, 24));
        });
    }

    #[test]
    fn a_foreign_file_is_refused_with_its_reason() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |text: &str| {
            std::fs::write(folder.path().join(PICTURES), text).unwrap();
            Pictures::read(folder.path()).unwrap_err()
        };
        assert!(refused("{").contains(PICTURES));
        let with = |version: u32, views: &str, map: &str| {
            format!("{{\"version\":{version},\"views\":{views},\"neighbours\":null,\"map\":{map}}}")
        };
        assert!(refused(&with(2, "null", "null")).contains("version 2"));
        let foreign = "{\"picture\":\"https://example.org/x.png\",\"width\":1,\"rows\":1,\"captions\":[]}";
        assert!(refused(&with(1, foreign, "null")).contains("PNG"));
        let wide = foreign.replace("https://example.org/x.png", "data:image/png;base64,");
        let wide = wide.replace("\"width\":1", &format!("\"width\":{}", usize::MAX));
        assert!(refused(&with(1, &wide, "null")).contains("pixels wide"), "{wide}");
        let map = "{\"class_names\":[],\"labels\":[0],\"principal\":[[0,0]],\"shares\":[0,0],\"tsne\":[]}";
        assert!(refused(&with(1, "null", map)).contains("label 0 of 0"));
        std::fs::write(folder.path().join(PICTURES), with(1, "null", "null")).unwrap();
        assert!(Pictures::read(folder.path()).is_ok());
    }
}
