//! The same types for postcard (by serde) and bincode (by its own traits, which are faster than serde's).

use posthaste_benches::calls as ours;

#[derive(bincode::Decode, bincode::Encode, serde::Deserialize, serde::Serialize)]
pub(crate) struct Point {
    x: i32,
    y: i32,
    time: u64,
}

#[derive(bincode::Decode, bincode::Encode, serde::Deserialize, serde::Serialize)]
pub(crate) enum Shape {
    Red(f64),
    Green(Point),
    Blue,
}

#[derive(bincode::Decode, bincode::Encode, serde::Deserialize, serde::Serialize)]
pub(crate) struct Mixed {
    number: i32,
    flags: u32,
    offset: i64,
    ratio: f64,
    weight: f32,
    ready: bool,
    name: String,
    // Octet by octet without this.
    #[serde(with = "serde_bytes")]
    data: Vec<u8>,
    digest: [u8; 16],
    points: Vec<Point>,
    outline: Shape,
    origin: Option<Point>,
}

impl From<&ours::Point> for Point {
    fn from(point: &ours::Point) -> Self {
        Self { x: point.x, y: point.y, time: point.time }
    }
}

impl From<&ours::Mixed> for Mixed {
    fn from(mixed: &ours::Mixed) -> Self {
        Self {
            number: mixed.number,
            flags: mixed.flags,
            offset: mixed.offset,
            ratio: mixed.ratio,
            weight: mixed.weight,
            ready: mixed.ready,
            name: mixed.name.to_string_lossy().into(),
            data: mixed.data.clone(),
            digest: mixed.digest,
            points: mixed.points.iter().map(Point::from).collect(),
            outline: match &mixed.outline {
                ours::Shape::Red(radius) => Shape::Red(*radius),
                ours::Shape::Green(corner) => Shape::Green(corner.into()),
                ours::Shape::Default(_) => Shape::Blue,
            },
            origin: mixed.origin.as_ref().map(Point::from),
        }
    }
}
