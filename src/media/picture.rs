//! A picture as an employee sends it to what a vision model takes: upright, small enough, JPEG or PNG.

use std::io::Cursor;

use image::{
    DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, codecs::jpeg::JpegEncoder,
    imageops::FilterType,
};

/// The longest side that models look at; what is beyond costs and tells them nothing (OpenAI scales to 2048 and then
/// to 768 on the short side, others to about 1568).
pub const LONGEST_SIDE: u32 = 1568;
/// The largest side that is decoded at all: what a phone's camera makes, and some more.
const MOST_SIDE: u32 = 16_384;
/// Memory that decoding may take.
const MOST_MEMORY: u64 = 256 * 1024 * 1024;
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

/// Decodes (of an animation the first picture), turns it upright as its camera says, scales it down and encodes it
/// anew. What else the file held, such as where it was taken, is gone.
///
/// # Errors
/// [`Unusable`].
pub fn prepare(file: &[u8]) -> Result<Picture, Unusable> {
    let mut reader = ImageReader::new(Cursor::new(file)).with_guessed_format().map_err(|_| Unusable::NotAPicture)?;
    let format = reader.format().ok_or(Unusable::NotAPicture)?;
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(MOST_SIDE), Some(MOST_SIDE));
    limits.max_alloc = Some(MOST_MEMORY);
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    let orientation = decoder.orientation()?;
    let mut picture = DynamicImage::from_decoder(decoder)?;
    picture.apply_orientation(orientation);
    if picture.width().max(picture.height()) > LONGEST_SIDE {
        picture = picture.resize(LONGEST_SIDE, LONGEST_SIDE, FilterType::Triangle);
    }
    encode(&picture, format)
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
