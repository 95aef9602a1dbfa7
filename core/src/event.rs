//! An event as the bytes it came in: where each of its fields stands, and what it says.

use crate::avro::Reader;
use crate::schema::{EVENT_ID, FIELDS, KINDS, LABELS};

/// How a field is written; `Maybe` what may be null.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Kind {
    Text,
    Long,
    MaybeText,
    MaybeLong,
    MaybeInt,
    MaybeDouble,
    MaybeBoolean,
    Texts,
    Labels,
    Sides,
}

/// Where fields begin, and at last where the event ends; within its bytes.
pub type Places = [u32; FIELDS + 1];

/// An event whose bytes are known to be sound.
pub struct Event<'a> {
    data: &'a [u8],
    places: Places,
}

/// What one source says of a field.
#[allow(missing_docs)]
pub struct Side<'a> {
    pub source: &'a [u8],
    pub value: Option<&'a [u8]>,
    pub kind: Option<&'a [u8]>,
    pub score: Option<f64>,
}

/// Find where the fields of the event at `at` stand; gives its end. None unless it is sound, and written as we write.
pub fn walk(data: &[u8], at: usize, places: &mut Places) -> Option<usize> {
    find::<true>(data, at, places)
}

/// The same; that texts are UTF-8 is asked only of bytes that nobody has looked at yet, `NEW` ones.
fn find<const NEW: bool>(data: &[u8], at: usize, places: &mut Places) -> Option<usize> {
    let mut reader = Reader::new(data, at);
    for (kind, place) in KINDS.iter().zip(places.iter_mut()) {
        *place = u32::try_from(reader.at() - at).ok()?;
        pass::<NEW>(&mut reader, *kind)?;
    }
    if let Some(end) = places.last_mut() {
        *end = u32::try_from(reader.at() - at).ok()?;
    }
    Some(reader.at())
}

fn pass<const NEW: bool>(reader: &mut Reader<'_>, kind: Kind) -> Option<()> {
    match kind {
        Kind::Text => {
            text::<NEW>(reader)?;
        }
        Kind::Long => {
            reader.long()?;
        }
        Kind::Texts => {
            reader.array(text::<NEW>)?;
        }
        Kind::Labels => {
            reader.array(|each| text::<NEW>(each).and_then(|()| text::<NEW>(each)))?;
        }
        Kind::Sides => {
            reader.array(|each| each.text().and_then(|_| side(each)).map(|_| ()))?;
        }
        _ => {
            if reader.is_some()? {
                match kind {
                    Kind::MaybeText => {
                        text::<NEW>(reader)?;
                    }
                    Kind::MaybeLong => {
                        reader.long()?;
                    }
                    Kind::MaybeInt => {
                        i32::try_from(reader.long()?).ok()?;
                    }
                    Kind::MaybeDouble => {
                        reader.double()?;
                    }
                    _ => {
                        (reader.byte()? <= 1).then_some(())?;
                    }
                }
            }
        }
    }
    Some(())
}

fn text<const NEW: bool>(reader: &mut Reader<'_>) -> Option<()> {
    if NEW { reader.text().map(|_| ()) } else { reader.bytes().map(|_| ()) }
}

/// What follows a side's source.
fn side<'a>(reader: &mut Reader<'a>) -> Option<(Option<&'a str>, Option<&'a str>, Option<f64>)> {
    let value = if reader.is_some()? { Some(reader.text()?) } else { None };
    let kind = if reader.is_some()? { Some(reader.text()?) } else { None };
    let score = if reader.is_some()? { Some(reader.double()?) } else { None };
    Some((value, kind, score))
}

impl<'a> Event<'a> {
    /// The event that `data` is; None unless it is sound to its last byte.
    pub fn of(data: &'a [u8]) -> Option<Self> {
        let mut places = [0; FIELDS + 1];
        (walk(data, 0, &mut places)? == data.len()).then_some(Event { data, places })
    }

    /// The event whose bytes were found sound before.
    pub fn again(data: &'a [u8]) -> Option<Self> {
        let mut places = [0; FIELDS + 1];
        (find::<false>(data, 0, &mut places)? == data.len()).then_some(Event { data, places })
    }

    /// The event whose fields were found in `data` by `walk`.
    pub fn found(data: &'a [u8], places: Places) -> Self {
        Event { data, places }
    }

    /// What stands before a field, and after it.
    pub fn around(&self, field: usize) -> (&'a [u8], &'a [u8]) {
        let before = self.data.get(..self.place(field)).unwrap_or_default();
        (before, self.data.get(self.place(field + 1)..).unwrap_or_default())
    }

    /// All its bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.data
    }

    fn place(&self, field: usize) -> usize {
        self.places.get(field).map_or(0, |place| *place as usize)
    }

    fn reader(&self, field: usize) -> Reader<'a> {
        Reader::new(self.data, self.place(field))
    }

    /// A field as it is written.
    pub fn raw(&self, field: usize) -> &'a [u8] {
        self.data.get(self.place(field)..self.place(field + 1)).unwrap_or_default()
    }

    /// Whether a nullable field is not null, or a list not empty.
    pub fn says(&self, field: usize) -> bool {
        self.raw(field).first().is_some_and(|lead| *lead != 0)
    }

    /// A text that every event has.
    pub fn text(&self, field: usize) -> &'a [u8] {
        self.reader(field).bytes().unwrap_or_default()
    }

    /// A number that every event has.
    pub fn long(&self, field: usize) -> i64 {
        self.reader(field).long().unwrap_or_default()
    }

    /// A text, where it is said.
    pub fn maybe_text(&self, field: usize) -> Option<&'a [u8]> {
        let mut reader = self.reader(field);
        if reader.is_some()? { reader.bytes() } else { None }
    }

    /// A number, where it is said.
    pub fn maybe_long(&self, field: usize) -> Option<i64> {
        let mut reader = self.reader(field);
        if reader.is_some()? { reader.long() } else { None }
    }

    /// A number with a fraction, where it is said.
    pub fn maybe_double(&self, field: usize) -> Option<f64> {
        let mut reader = self.reader(field);
        if reader.is_some()? { reader.double() } else { None }
    }

    /// Yes or no, where it is said.
    pub fn maybe_boolean(&self, field: usize) -> Option<bool> {
        let mut reader = self.reader(field);
        if reader.is_some()? { reader.byte().map(|byte| byte == 1) } else { None }
    }

    /// The texts of a list.
    pub fn texts(&self, field: usize) -> Vec<&'a [u8]> {
        let mut texts = Vec::new();
        self.reader(field).array(|reader| reader.bytes().map(|text| texts.push(text)));
        texts
    }

    /// Its labels.
    pub fn labels(&self) -> Vec<(&'a [u8], &'a [u8])> {
        let mut labels = Vec::new();
        self.reader(LABELS).array(|reader| {
            let key = reader.bytes()?;
            labels.push((key, reader.bytes()?));
            Some(())
        });
        labels
    }

    /// The sides of a conflict.
    pub fn sides(&self) -> Vec<Side<'a>> {
        let mut sides = Vec::new();
        self.reader(crate::schema::CONFLICT_SIDES).array(|reader| {
            let source = reader.bytes()?;
            let (value, kind, score) = side(reader)?;
            sides.push(Side { source, value: value.map(str::as_bytes), kind: kind.map(str::as_bytes), score });
            Some(())
        });
        sides
    }

    /// Its id: the first of its fields.
    pub fn id(&self) -> &'a [u8] {
        self.text(EVENT_ID)
    }
}

/// Whether two events say the same, number for number: what is no number is like itself.
pub fn say_the_same(one: &Event<'_>, other: &Event<'_>) -> bool {
    one.bytes() == other.bytes()
        || KINDS.iter().enumerate().all(|(field, kind)| {
            one.raw(field) == other.raw(field)
                || match kind {
                    Kind::MaybeDouble => same(one.maybe_double(field), other.maybe_double(field)),
                    Kind::Sides => {
                        let (mine, theirs) = (one.sides(), other.sides());
                        mine.len() == theirs.len() && mine.iter().zip(&theirs).all(|(a, b)| a.is_like(b))
                    }
                    _ => false,
                }
        })
}

impl Side<'_> {
    fn is_like(&self, other: &Side<'_>) -> bool {
        self.source == other.source && self.value == other.value && self.kind == other.kind && self.score == other.score
    }
}

fn same(one: Option<f64>, other: Option<f64>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one == other || (one.is_nan() && other.is_nan()),
        _ => one.is_none() && other.is_none(),
    }
}
