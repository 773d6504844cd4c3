//! A picture as an employee sends it to what a vision model takes: upright, small enough, JPEG or PNG.

use std::{
    io::{BufRead, Cursor, Read, Seek, SeekFrom},
    panic::{self, AssertUnwindSafe},
};

use image::{
    DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, Rgb, RgbImage, codecs::jpeg::JpegEncoder,
};

/// The longest side that models look at; what is beyond costs and tells them nothing (OpenAI scales to 2048 and then
/// to 768 on the short side, others to about 1568).
pub const LONGEST_SIDE: u32 = 1568;
/// The largest side that is decoded at all: what a phone's camera makes, and some more.
const MOST_SIDE: u32 = 16_384;
/// Memory that decoding one picture may take: 30 megapixels as most cameras write them.
pub const MOST_MEMORY: u64 = 96 * 1024 * 1024;
/// What scaling down and encoding anew take beside it.
const SMALL_COPY: u64 = LONGEST_SIDE as u64 * LONGEST_SIDE as u64 * 4;
const JPEG_QUALITY: u8 = 85;
/// A drawing with few colours stays as it is when it is small: JPEG would blur its letters.
const SMALL_PNG: usize = 512 * 1024;

/// A picture that a model takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// `image/jpeg` or `image/png`.
    pub media_type: &'static str,
    /// The file.
    pub bytes: Vec<u8>,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

/// Why nothing can be made of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It is none, or of a kind that is not read: JPEG, PNG, GIF and WebP are.
    #[error("it is no JPEG, PNG, GIF or WebP picture")]
    NotAPicture,
    /// It is larger than a camera makes.
    #[error("it is too large")]
    TooLarge,
    /// It begins as a picture and cannot be read.
    #[error("it is broken")]
    Broken,
}

impl From<ImageError> for Unusable {
    fn from(error: ImageError) -> Self {
        match error {
            ImageError::Limits(_) => Self::TooLarge,
            ImageError::Unsupported(_) => Self::NotAPicture,
            _ => Self::Broken,
        }
    }
}

/// Bytes of memory that [`prepare`] takes at most for this file of `size` bytes, as its head says: for whoever must not
/// prepare many at once.
///
/// # Errors
/// [`Unusable::TooLarge`] when it is more than [`MOST_MEMORY`], otherwise as [`prepare`].
pub fn memory<R: BufRead + Seek>(mut file: R, size: u64) -> Result<u64, Unusable> {
    let frame = jpeg_frame(&mut file);
    file.rewind().map_err(|_| Unusable::Broken)?;
    let decoding = match frame {
        // Its decoder would read the whole file to say so. It holds the file, and a progressive one keeps its
        // coefficients of two bytes until the last scan.
        Some(Frame { pixels, progressive }) => {
            pixels.saturating_mul(if progressive { 3 } else { 1 }).saturating_add(size)
        }
        None => {
            let (decoder, format) = decoder(file)?;
            let pixels = decoder.total_bytes();
            // The others have a canvas beside the picture.
            if format == ImageFormat::Png { pixels } else { pixels.saturating_mul(2).saturating_add(size) }
        }
    };
    let all = decoding.saturating_add(SMALL_COPY);
    if all > MOST_MEMORY { Err(Unusable::TooLarge) } else { Ok(all) }
}

/// Whether a file that begins like this is a picture of a kind that [`prepare`] takes. 16 bytes are enough.
pub fn begins_as_one(head: &[u8]) -> bool {
    let kinds = [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Gif, ImageFormat::WebP];
    image::guess_format(head).is_ok_and(|kind| kinds.contains(&kind))
}

/// Decodes (of an animation the first picture), scales down, turns it upright as its camera says, and encodes it anew.
/// What else the file held, such as where it was taken, is gone.
///
/// # Errors
/// [`Unusable`].
pub fn prepare<R: BufRead + Seek>(file: R) -> Result<Picture, Unusable> {
    // The decoders are large, and what they decode comes from strangers: a bug in one must not take the worker along.
    panic::catch_unwind(AssertUnwindSafe(|| decode(file))).unwrap_or(Err(Unusable::Broken))
}

fn decode<R: BufRead + Seek>(file: R) -> Result<Picture, Unusable> {
    let (mut decoder, format) = decoder(file)?;
    let orientation = decoder.orientation()?;
    let mut picture = DynamicImage::from_decoder(decoder)?;
    if picture.width().max(picture.height()) > LONGEST_SIDE {
        // Not `resize`: on its way it holds the picture in floating point, four times as large as the decoded one.
        picture = picture.thumbnail(LONGEST_SIDE, LONGEST_SIDE);
    }
    // After it, so that what is turned is small.
    picture.apply_orientation(orientation);
    encode(&picture, format)
}

fn decoder<'f, R: BufRead + Seek + 'f>(file: R) -> Result<(impl ImageDecoder + 'f, ImageFormat), Unusable> {
    let mut reader = ImageReader::new(file).with_guessed_format().map_err(|_| Unusable::NotAPicture)?;
    let format = reader.format().ok_or(Unusable::NotAPicture)?;
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(MOST_SIDE), Some(MOST_SIDE));
    limits.max_alloc = Some(MOST_MEMORY);
    reader.limits(limits);
    Ok((reader.into_decoder()?, format))
}

/// What the head of a JPEG says.
struct Frame {
    /// Bytes of the decoded picture.
    pixels: u64,
    /// It comes in several scans.
    progressive: bool,
}

/// Goes from segment to segment of a JPEG up to the one that says how large it is; `None`: it is none, or says nothing.
fn jpeg_frame<R: Read + Seek>(file: &mut R) -> Option<Frame> {
    let mut two = [0; 2];
    file.read_exact(&mut two).ok()?;
    if two != [0xff, 0xd8] {
        return None;
    }
    loop {
        file.read_exact(&mut two).ok()?;
        let [0xff, marker] = two else { return None };
        file.read_exact(&mut two).ok()?;
        if matches!(marker, 0xc0..=0xc2) {
            // Bits in a sample, height, width, components.
            let mut head = [0; 6];
            file.read_exact(&mut head).ok()?;
            let [_, high, low, wide, narrow, components] = head;
            let (height, width) = (u16::from_be_bytes([high, low]), u16::from_be_bytes([wide, narrow]));
            let pixels = u64::from(height) * u64::from(width) * u64::from(components);
            return Some(Frame { pixels, progressive: marker == 0xc2 });
        }
        if marker == 0xda {
            return None;
        }
        file.seek(SeekFrom::Current(i64::from(u16::from_be_bytes(two)) - 2)).ok()?;
    }
}

/// A square PNG with the colours that `colour` gives to each place.
pub fn painted(side: u32, colour: impl Fn(u32, u32) -> [u8; 3]) -> Vec<u8> {
    let picture = RgbImage::from_fn(side, side, |x, y| Rgb(colour(x, y)));
    let mut png = Cursor::new(Vec::new());
    // Writing into memory does not fail.
    let _ = picture.write_to(&mut png, ImageFormat::Png);
    png.into_inner()
}

fn encode(picture: &DynamicImage, from: ImageFormat) -> Result<Picture, Unusable> {
    let (width, height) = (picture.width(), picture.height());
    if from != ImageFormat::Jpeg {
        let mut bytes = Vec::new();
        picture.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png)?;
        if bytes.len() <= SMALL_PNG {
            return Ok(Picture { media_type: "image/png", bytes, width, height });
        }
    }
    let mut bytes = Vec::new();
    on_white(picture).write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY))?;
    Ok(Picture { media_type: "image/jpeg", bytes, width, height })
}

/// JPEG knows nothing transparent: what shines through is white, as on paper.
fn on_white(picture: &DynamicImage) -> DynamicImage {
    if !picture.color().has_alpha() {
        return DynamicImage::ImageRgb8(picture.to_rgb8());
    }
    let rgba = picture.to_rgba8();
    let blend = |value: u8, alpha: u8| {
        let (value, alpha) = (u32::from(value), u32::from(alpha));
        u8::try_from((value * alpha + 255 * (255 - alpha)) / 255).unwrap_or(u8::MAX)
    };
    DynamicImage::ImageRgb8(image::RgbImage::from_fn(rgba.width(), rgba.height(), |x, y| {
        let [r, g, b, a] = rgba.get_pixel(x, y).0;
        image::Rgb([blend(r, a), blend(g, a), blend(b, a)])
    }))
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage, Rgba, RgbaImage};
    use proptest::prelude::*;

    use super::*;

    fn prepare(file: &[u8]) -> Result<Picture, Unusable> {
        super::prepare(Cursor::new(file))
    }

    fn file(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Vec::new();
        picture.write_to(&mut Cursor::new(&mut bytes), format).expect("encoded");
        bytes
    }

    /// Noise: nothing compresses it away.
    fn noise(width: u32, height: u32) -> DynamicImage {
        let mut state = 1_u32;
        DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, |_, _| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let [a, b, c, _] = state.to_be_bytes();
            Rgb([a, b, c])
        }))
    }

    #[test]
    fn a_photo_becomes_a_jpeg_of_bounded_size() {
        for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP] {
            let picture = prepare(&file(&noise(3000, 1000), format)).expect("prepared");
            assert_eq!((picture.media_type, picture.width, picture.height), ("image/jpeg", 1568, 523), "{format:?}");
            assert_eq!(image::guess_format(&picture.bytes).ok(), Some(ImageFormat::Jpeg));
        }
    }

    #[test]
    fn a_drawing_stays_a_png_and_a_transparent_photo_lies_on_white() {
        let drawing = DynamicImage::ImageRgba8(RgbaImage::from_pixel(400, 300, Rgba([10, 20, 30, 0])));
        let picture = prepare(&file(&drawing, ImageFormat::Gif)).expect("prepared");
        assert_eq!((picture.media_type, picture.width), ("image/png", 400));
        assert_eq!(on_white(&drawing).to_rgb8().get_pixel(0, 0).0, [255, 255, 255]);
    }

    #[test]
    fn a_camera_held_upright_gives_an_upright_picture() {
        let mut lying = file(&noise(64, 32), ImageFormat::Jpeg);
        // An APP1 segment with one EXIF tag: orientation 6, turn right by a quarter.
        let exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        let length = u16::try_from(exif.len() + 2).expect("short").to_be_bytes();
        let segment = [&[0xff, 0xe1], &length[..], exif].concat();
        lying.splice(2..2, segment);
        let picture = prepare(&lying).expect("prepared");
        assert_eq!((picture.width, picture.height), (32, 64));
        assert!(!picture.bytes.windows(4).any(|window| window == b"Exif"), "what the camera wrote is gone");
    }

    #[test]
    fn what_a_picture_takes_is_known_before_it_is_decoded() {
        let need = |file: &[u8]| memory(Cursor::new(file), file.len() as u64);
        let photo = file(&noise(3000, 1000), ImageFormat::Jpeg);
        assert_eq!(need(&photo), Ok(9_000_000 + photo.len() as u64 + SMALL_COPY));
        let mut progressive = photo.clone();
        let head = progressive.windows(2).position(|two| two == [0xff, 0xc0]).expect("a frame");
        progressive[head + 1] = 0xc2;
        assert_eq!(need(&progressive), Ok(27_000_000 + photo.len() as u64 + SMALL_COPY));
        let mut large = photo;
        large[head + 5..head + 9].copy_from_slice(&[0x20, 0, 0x20, 0]);
        assert_eq!(need(&large), Err(Unusable::TooLarge), "67 megapixels");
        assert_eq!(need(b"%PDF-1.7"), Err(Unusable::NotAPicture));
    }

    #[test]
    fn what_is_no_picture_is_named() {
        let png = file(&noise(50, 50), ImageFormat::Png);
        assert_eq!(prepare(b"%PDF-1.7"), Err(Unusable::NotAPicture));
        assert_eq!(prepare(b""), Err(Unusable::NotAPicture));
        assert_eq!(prepare(&png[..200]), Err(Unusable::Broken));
        // A head that promises 60,000 by 60,000 pixels, as a bomb does.
        let mut bomb = png;
        bomb[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
        assert!(matches!(prepare(&bomb), Err(Unusable::TooLarge | Unusable::Broken)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// However a file is broken, it is read or refused.
        #[test]
        fn a_broken_file_is_read_or_refused(at in 8_usize..600, byte: u8, png: bool) {
            let format = if png { ImageFormat::Png } else { ImageFormat::Jpeg };
            let mut bytes = file(&noise(16, 16), format);
            let at = at.min(bytes.len() - 1);
            bytes[at] = byte;
            if let Ok(picture) = prepare(&bytes) {
                prop_assert!(picture.width <= LONGEST_SIDE && picture.height <= LONGEST_SIDE);
            }
        }
    }
}
