//! Images of supports, kept so that another encoder can embed them.
//!
//! One PNG per support in one folder, named by its source: pixels are kept exactly, and a user can view the samples of
//! a device. An image is written before its support is acknowledged and removed when the support is forgotten.

use std::io::{self, Cursor};
use std::path::{Path, PathBuf};

use image::{ExtendedColorType, ImageFormat};
use macula_edge::image::RawImage;
use macula_edge::support_set::SourceId;

use crate::data::Image;
use crate::data::decode::{self, DecodeOptions};
use crate::files::{create_private_folder, path_beside, read_bounded, remove_if_present, write_private};

/// File extension.
const ENDING: &str = "png";

/// Most bytes of a file: a device accepts no image with more pixels.
const FILE_MAX: u64 = 256 << 20;

/// A folder of images named by source.
#[derive(Clone, Debug)]
pub struct KeptImages {
    folder: PathBuf,
}

/// An image could not be written or read.
#[derive(Debug, thiserror::Error)]
#[error("image {path}: {message}")]
pub struct KeptImageError {
    /// The file or the folder.
    pub path: String,
    /// The cause.
    pub message: String,
}

impl KeptImageError {
    fn of(path: &Path, error: impl ToString) -> Self {
        Self { path: path.display().to_string(), message: error.to_string() }
    }
}

impl KeptImages {
    /// The images of the store at `store`; `None` when it keeps none. The folder beside the store decides, so that every
    /// program that makes it forget a sample removes the image, too.
    pub fn beside(store: &Path) -> Option<Self> {
        let folder = folder_beside(store);
        folder.is_dir().then(|| Self { folder }.tightened())
    }

    /// As [`Self::beside`], and makes the folder.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn make_beside(store: &Path) -> Result<Self, KeptImageError> {
        Self::in_folder(folder_beside(store))
    }

    /// The images in `folder`, which is made if it is missing.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn in_folder(folder: PathBuf) -> Result<Self, KeptImageError> {
        create_private_folder(&folder).map_err(|error| KeptImageError::of(&folder, error))?;
        Ok(Self { folder }.tightened())
    }

    /// Removes access for others that an earlier program granted: the images may show people. A group with write access
    /// shares them on purpose.
    fn tightened(self) -> Self {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&self.folder).map_or(0o700, |metadata| metadata.permissions().mode() & 0o777);
            let kept = if mode & 0o020 == 0 { 0o700 } else { 0o770 };
            if mode & !kept != 0 {
                // This fails for another owner's folder, which does not change.
                let _ = std::fs::set_permissions(&self.folder, std::fs::Permissions::from_mode(mode & kept));
            }
        }
        self
    }

    /// Whether there is an image of this source.
    pub fn has(&self, source: &SourceId) -> bool {
        self.path(source).is_file()
    }

    /// Writes an image durably.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put(&self, source: &SourceId, image: &RawImage<'_>) -> Result<(), KeptImageError> {
        let shape = image.shape();
        self.write(source, encode_png([shape.width(), shape.height(), shape.channels()], image.pixels()))
    }

    /// As [`Self::put`] for a decoded image.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put_image(&self, source: &SourceId, image: &Image) -> Result<(), KeptImageError> {
        self.write(source, encode_image(image))
    }

    fn write(&self, source: &SourceId, png: Result<Vec<u8>, image::ImageError>) -> Result<(), KeptImageError> {
        let path = self.path(source);
        let png = png.map_err(|error| KeptImageError::of(&path, error))?;
        write_private(&path, &png).map_err(|error| KeptImageError::of(&path, error.source))
    }

    /// Adds the image of a source to `other` without decoding it; `false` when none is kept.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn copy_to(&self, other: &Self, source: &SourceId) -> Result<bool, KeptImageError> {
        let Some(png) = self.png(source)? else { return Ok(false) };
        other.write(source, Ok(png)).map(|()| true)
    }

    /// Removes the image of a source, if there is one.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self, source: &SourceId) -> Result<(), KeptImageError> {
        let path = self.path(source);
        remove_if_present(&path).map_err(|error| KeptImageError::of(&path, error))
    }

    /// The sources of all images, in order.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn sources(&self) -> Result<Vec<SourceId>, KeptImageError> {
        let failed = |error: io::Error| KeptImageError::of(&self.folder, error);
        let mut sources = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(failed)? {
            sources.extend(source_of(&entry.map_err(failed)?.path()));
        }
        sources.sort_unstable();
        Ok(sources)
    }

    /// The PNG file of a source; `None` when none is kept.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn png(&self, source: &SourceId) -> Result<Option<Vec<u8>>, KeptImageError> {
        let path = self.path(source);
        match read_bounded(&path, FILE_MAX) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(KeptImageError::of(&path, error.source)),
        }
    }

    /// The image of a source; `None` when none is kept.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn get(&self, source: &SourceId) -> Result<Option<Image>, KeptImageError> {
        let (path, png) = (self.path(source), self.png(source)?);
        let Some(png) = png else { return Ok(None) };
        let decoded = decode::decode(&png, &path.display().to_string(), &DecodeOptions::default());
        decoded.map(|decoded| Some(decoded.image)).map_err(|error| KeptImageError::of(&path, error))
    }

    /// Removes the images of all sources that are not `known`. Files with other names stay.
    ///
    /// # Errors
    /// When the folder cannot be read, or an image cannot be removed.
    pub fn retain(&self, known: impl Fn(&SourceId) -> bool) -> Result<(), KeptImageError> {
        let failed = |error: io::Error| KeptImageError::of(&self.folder, error);
        for entry in std::fs::read_dir(&self.folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if source_of(&path).is_some_and(|source| !known(&source)) {
                std::fs::remove_file(&path).map_err(|error| KeptImageError::of(&path, error))?;
            }
        }
        Ok(())
    }

    fn path(&self, source: &SourceId) -> PathBuf {
        self.folder.join(base16ct::lower::encode_string(source)).with_extension(ENDING)
    }
}

/// `image` as a PNG file.
///
/// # Errors
/// When its sides and pixels do not agree.
pub fn encode_image(image: &Image) -> Result<Vec<u8>, image::ImageError> {
    encode_png([image.width, image.height, image.channels], &image.pixels)
}

fn encode_png([width, height, channels]: [usize; 3], pixels: &[u8]) -> Result<Vec<u8>, image::ImageError> {
    let colour = if channels == 1 { ExtendedColorType::L8 } else { ExtendedColorType::Rgb8 };
    let mut png = Cursor::new(Vec::new());
    image::write_buffer_with_format(&mut png, pixels, width as u32, height as u32, colour, ImageFormat::Png)?;
    Ok(png.into_inner())
}

fn folder_beside(store: &Path) -> PathBuf {
    path_beside(store, ".images")
}

/// The source in a file name; `None` for other files.
fn source_of(path: &Path) -> Option<SourceId> {
    let name = path.file_stem()?.to_str()?;
    let mut source = SourceId::default();
    let decoded = base16ct::mixed::decode(name, &mut source).ok()?;
    (path.extension()? == ENDING && decoded.len() == size_of::<SourceId>()).then_some(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_kept_exactly_and_removed_when_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("ward.store");
        assert!(KeptImages::beside(&store).is_none());
        let kept = KeptImages::make_beside(&store).unwrap();
        let grey: Vec<u8> = (0..12).collect();
        let images = [(4, 3, 1, &grey), (2, 2, 3, &grey)];
        for (source, (width, height, channels, pixels)) in (0..).zip(images) {
            kept.put(&[source; 16], &RawImage::new(width, height, channels, pixels).unwrap()).unwrap();
            let expected = Image { width, height, channels, pixels: pixels.clone() };
            assert_eq!(kept.get(&[source; 16]).unwrap(), Some(expected));
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&kept.folder), mode(&kept.path(&[0; 16]))), (0o700, 0o600));
            std::fs::set_permissions(&kept.folder, std::fs::Permissions::from_mode(0o755)).unwrap();
            assert_eq!(mode(&KeptImages::beside(&store).unwrap().folder), 0o700, "what an earlier program made");
        }
        let other = folder.path().join("ward.store.images/notes.txt");
        std::fs::write(&other, "a person's own").unwrap();
        kept.retain(|source| source[0] == 1).unwrap();
        assert_eq!([0, 1].map(|source| kept.has(&[source; 16])), [false, true]);
        assert!(other.exists() && kept.get(&[0; 16]).unwrap().is_none());
        std::fs::write(kept.path(&[2; 16]), "no image").unwrap();
        let message = kept.get(&[2; 16]).unwrap_err().to_string();
        assert!(message.contains("0202020202"), "{message}");
    }
}
