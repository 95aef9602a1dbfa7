//! The pen: what an event says, as Python has it, checked and written as an item of a batch.
//!
//! It is given its plan by causeline.schemas.wire, which derives it from the schema and the event models, and plays the
//! part of a generated function there: it takes what it knows to be good, and refuses everything else by None. The
//! caller then goes field by field, which accepts it after all or says what is wrong. So nothing here names a fault,
//! and no sentence stands twice.

use crate::avro::{put_long, put_text};
use crate::form::{has_length, is_hexadecimal, is_persons_id, is_reference};
use crate::guard::unless_it_panics;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use std::collections::HashMap;
use std::sync::Mutex;

/// Not known to be good.
struct Refused;

impl From<PyErr> for Refused {
    fn from(_: PyErr) -> Self {
        Refused
    }
}

type Taken<T> = Result<T, Refused>;

/// Numbers from here on are not all floats.
const FLOATS_ARE_WHOLE_TO: i64 = 1 << 53;
/// 9999-12-31T23:59:59.999999Z.
const LAST_MICROSECOND: i64 = 253_402_300_799_999_999;
const NULL: u8 = 0;
const EVENT_ID_DIGITS: usize = 32;
/// Hex digits of an event's id that are drawn; the rest counts.
const DRAWN_DIGITS: usize = 29;
const IDS_OF_A_DRAW: u32 = 1 << 12;
const SECOND_BITS: u32 = 20;

/// How the values of one field are checked and written.
enum Rule {
    Text {
        shortest: usize,
        longest: usize,
    },
    Reference {
        longest: usize,
    },
    Person {
        longest: usize,
    },
    Hexadecimal {
        digits: usize,
    },
    Integer {
        least: i64,
        most: i64,
    },
    Number {
        least: f64,
        most: f64,
    },
    Boolean,
    /// Members of a vocabulary with their texts.
    Words(Vec<(Py<PyAny>, String)>),
    List {
        item: Box<Rule>,
        most: usize,
    },
    Labels {
        most: usize,
        longest: usize,
    },
    /// Whatever has no rule here: the Python encoder itself.
    Called(Py<PyAny>),
}

impl Rule {
    /// The rule of a plan `(word, …)`; of None it is the call.
    fn of(plan: &Bound<'_, PyAny>, encoder: &Bound<'_, PyAny>) -> PyResult<Rule> {
        if plan.is_none() {
            return Ok(Rule::Called(encoder.clone().unbind()));
        }
        let plan = plan.cast::<PyTuple>()?;
        let word: String = plan.get_item(0)?.extract()?;
        let one = || plan.get_item(1);
        let two = || plan.get_item(2);
        Ok(match word.as_str() {
            "text" => Rule::Text { shortest: one()?.extract()?, longest: two()?.extract()? },
            "reference" => Rule::Reference { longest: one()?.extract()? },
            "person" => Rule::Person { longest: one()?.extract()? },
            "hexadecimal" => Rule::Hexadecimal { digits: one()?.extract()? },
            "integer" => Rule::Integer { least: one()?.extract()?, most: two()?.extract()? },
            "number" => Rule::Number { least: one()?.extract()?, most: two()?.extract()? },
            "boolean" => Rule::Boolean,
            "words" => Rule::Words(one()?.extract()?),
            "list" => Rule::List { item: Box::new(Rule::of(&one()?, encoder)?), most: two()?.extract()? },
            "labels" => Rule::Labels { most: one()?.extract()?, longest: two()?.extract()? },
            _ => return Err(PyValueError::new_err(format!("{word}: not a rule of the pen"))),
        })
    }

    /// Write a value that is not None behind `lead`, the branch of a nullable union or nothing.
    fn put(&self, out: &mut Vec<u8>, lead: &[u8], value: &Bound<'_, PyAny>) -> Taken<()> {
        match self {
            Rule::Called(encode) => {
                let encoded = encode.bind(value.py()).call1((value,))?;
                out.extend_from_slice(encoded.cast::<PyBytes>().map_err(|_| Refused)?.as_bytes());
                return Ok(());
            }
            Rule::List { item, most } => return put_list(out, item, *most, value),
            Rule::Labels { most, longest } => return put_labels(out, *most, *longest, value),
            _ => out.extend_from_slice(lead),
        }
        match self {
            Rule::Integer { least, most } => put_long(out, whole(value, *least, *most)?),
            Rule::Number { least, most } => out.extend_from_slice(&number(value, *least, *most)?.to_le_bytes()),
            Rule::Boolean => {
                let said = value.cast_exact::<PyBool>().map_err(|_| Refused)?;
                out.push(u8::from(said.is_true()));
            }
            Rule::Words(words) => match words.iter().find(|(member, _)| value.is(member)) {
                Some((_, word)) => put_text(out, word),
                None => {
                    let said = text(value)?;
                    put_text(out, &words.iter().find(|(_, word)| word == said).ok_or(Refused)?.1);
                }
            },
            _ => {
                let said = text(value)?;
                if !self.is_good(said) {
                    return Err(Refused);
                }
                put_text(out, said);
            }
        }
        Ok(())
    }

    /// Whether a text is one that the rule takes.
    fn is_good(&self, text: &str) -> bool {
        match self {
            Rule::Text { shortest, longest } => has_length(text, *shortest, *longest),
            Rule::Reference { longest } => has_length(text, 1, *longest) && is_reference(text),
            Rule::Person { longest } => has_length(text, 1, *longest) && is_persons_id(text),
            Rule::Hexadecimal { digits } => is_hexadecimal(text, *digits),
            _ => false,
        }
    }
}

/// A `str` and nothing derived of it, which may be odd.
fn text<'a>(value: &'a Bound<'_, PyAny>) -> Taken<&'a str> {
    Ok(value.cast_exact::<PyString>().map_err(|_| Refused)?.to_str()?)
}

fn whole(value: &Bound<'_, PyAny>, least: i64, most: i64) -> Taken<i64> {
    let found: i64 = value.cast_exact::<PyInt>().map_err(|_| Refused)?.extract()?;
    if (least..=most).contains(&found) { Ok(found) } else { Err(Refused) }
}

fn number(value: &Bound<'_, PyAny>, least: f64, most: f64) -> Taken<f64> {
    let found = match value.cast_exact::<PyFloat>() {
        Ok(float) => float.value(),
        Err(_) => whole(value, -FLOATS_ARE_WHOLE_TO, FLOATS_ARE_WHOLE_TO)? as f64,
    };
    if (least..=most).contains(&found) { Ok(found) } else { Err(Refused) }
}

/// One block and its end; an empty list is only its end.
fn put_list(out: &mut Vec<u8>, rule: &Rule, most: usize, value: &Bound<'_, PyAny>) -> Taken<()> {
    let texts = if let Ok(tuple) = value.cast_exact::<PyTuple>() {
        tuple.clone()
    } else {
        value.cast_exact::<PyList>().map_err(|_| Refused)?.to_tuple()
    };
    let count = texts.len();
    if count > most {
        return Err(Refused);
    }
    if count > 0 {
        put_long(out, count as i64);
        for each in texts.iter_borrowed() {
            rule.put(out, &[], &each)?;
        }
    }
    out.push(NULL);
    Ok(())
}

fn put_labels(out: &mut Vec<u8>, most: usize, longest: usize, value: &Bound<'_, PyAny>) -> Taken<()> {
    let labels = value.cast_exact::<PyDict>().map_err(|_| Refused)?;
    let count = labels.len();
    if count > most {
        return Err(Refused);
    }
    if count > 0 {
        put_long(out, count as i64);
        for (key, label) in labels.iter() {
            for each in [text(&key)?, text(&label)?] {
                if !has_length(each, 0, longest) {
                    return Err(Refused);
                }
                put_text(out, each);
            }
        }
    }
    out.push(NULL);
    Ok(())
}

/// A field of a type of event: its branch where it is said, its rule, and whether it must be.
struct Slot {
    lead: Vec<u8>,
    rule: Rule,
    required: bool,
}

/// Names of fields and their places, found by the identity of the name: Python has one object for each name in code.
struct Names {
    table: Vec<(usize, usize)>,
    by_text: HashMap<String, usize>,
    _kept: Vec<Py<PyString>>,
}

const NAMES_TABLE: usize = 512;
const NO_PLACE: usize = usize::MAX;

impl Names {
    fn new(names: &[(Bound<'_, PyString>, usize)]) -> PyResult<Names> {
        let mut made = Names {
            table: vec![(0, NO_PLACE); NAMES_TABLE],
            by_text: HashMap::new(),
            _kept: names.iter().map(|(name, _)| name.clone().unbind()).collect(),
        };
        if names.len() > NAMES_TABLE / 2 {
            return Err(PyValueError::new_err("more fields than the pen has room for"));
        }
        for (name, place) in names {
            made.by_text.insert(name.to_str()?.to_owned(), *place);
            let identity = name.as_ptr() as usize;
            let mut at = Names::bucket(identity);
            while made.table.get(at).is_some_and(|(known, _)| *known != 0) {
                at = (at + 1) % NAMES_TABLE;
            }
            if let Some(free) = made.table.get_mut(at) {
                *free = (identity, *place);
            }
        }
        Ok(made)
    }

    fn bucket(identity: usize) -> usize {
        (identity >> 4 ^ identity >> 13) % NAMES_TABLE
    }

    fn place(&self, name: &Bound<'_, PyAny>) -> Taken<usize> {
        let identity = name.as_ptr() as usize;
        let mut at = Names::bucket(identity);
        while let Some((known, place)) = self.table.get(at) {
            match *known {
                0 => break,
                known if known == identity => return Ok(*place),
                _ => at = (at + 1) % NAMES_TABLE,
            }
        }
        self.by_text.get(text(name)?).copied().ok_or(Refused)
    }
}

/// One type of event: its word, and the fields that it may say at their places in the record.
#[pyclass(frozen, module = "causeline_core")]
pub struct Layout {
    type_text: Vec<u8>,
    slots: Vec<Option<Slot>>,
    names: Names,
    fixed: Vec<usize>,
    most_bytes: usize,
}

#[pymethods]
impl Layout {
    /// `fields` are (name, place, lead, plan, encoder, whether it must be said); `fixed` the names of those whose values
    /// come beside the others; an event has at most `most_bytes`.
    #[new]
    fn new(
        type_text: &[u8],
        fields: &Bound<'_, PyList>,
        places: usize,
        fixed: Vec<String>,
        most_bytes: usize,
    ) -> PyResult<Layout> {
        let mut slots: Vec<Option<Slot>> = (0..places).map(|_| None).collect();
        let mut names = Vec::new();
        for field in fields.iter() {
            let (name, place, lead, plan, encoder, required): (
                Bound<'_, PyString>,
                usize,
                Vec<u8>,
                Bound<'_, PyAny>,
                Bound<'_, PyAny>,
                bool,
            ) = field.extract()?;
            let slot = slots.get_mut(place).ok_or_else(|| PyValueError::new_err("a place that is not there"))?;
            *slot = Some(Slot { lead, rule: Rule::of(&plan, &encoder)?, required });
            names.push((name, place));
        }
        let names = Names::new(&names)?;
        let fixed = fixed
            .iter()
            .map(|name| names.by_text.get(name).copied().ok_or_else(|| PyValueError::new_err("no such field")))
            .collect::<PyResult<_>>()?;
        Ok(Layout { type_text: type_text.to_vec(), slots, names, fixed, most_bytes })
    }
}

impl Layout {
    /// Each value at its place; None is as if it had not been said.
    fn gather<'py>(
        &self,
        fixed: Option<&Bound<'py, PyTuple>>,
        fields: &Bound<'py, PyDict>,
    ) -> Taken<Vec<Option<Bound<'py, PyAny>>>> {
        let mut values: Vec<Option<Bound<'py, PyAny>>> = vec![None; self.slots.len()];
        let mut put = |place: usize, value: Bound<'py, PyAny>| match values.get_mut(place) {
            Some(free) if free.is_none() => {
                *free = Some(value);
                Ok(())
            }
            _ => Err(Refused), // it is said twice
        };
        if fixed.map_or(0, |fixed| fixed.len()) != self.fixed.len() {
            return Err(Refused);
        }
        for (place, value) in self.fixed.iter().zip(fixed.into_iter().flatten()) {
            put(*place, value)?;
        }
        for (name, value) in fields.iter() {
            put(self.names.place(&name)?, value)?;
        }
        Ok(values)
    }

    fn put(&self, out: &mut Vec<u8>, values: &[Option<Bound<'_, PyAny>>]) -> Taken<()> {
        for (slot, value) in self.slots.iter().zip(values) {
            match (slot, value) {
                (Some(slot), Some(value)) if !value.is_none() => slot.rule.put(out, &slot.lead, value)?,
                (Some(slot), _) if slot.required => return Err(Refused),
                _ => out.push(NULL),
            }
        }
        if out.len() <= self.most_bytes { Ok(()) } else { Err(Refused) }
    }
}

/// The event ids of a run: a prefix that is drawn, and a counter within a second of the run's clock.
struct Ids {
    second: i64,
    prefix: [u8; DRAWN_DIGITS],
    used: u32,
}

/// Writes the events of one run. What it refuses is None. Safe for threads.
#[pyclass(frozen, module = "causeline_core")]
pub struct RunPen {
    run: Vec<u8>,
    start: Vec<u8>,
    draw: Py<PyAny>,
    ids: Mutex<Ids>,
}

#[pymethods]
impl RunPen {
    /// `run` and `start` are what every event of the run says of it, encoded; `draw` gives 29 hex digits that no other
    /// ids begin with.
    #[new]
    fn new(run: &[u8], start: &[u8], draw: Bound<'_, PyAny>) -> RunPen {
        let ids = Mutex::new(Ids { second: -1, prefix: [0; DRAWN_DIGITS], used: IDS_OF_A_DRAW });
        RunPen { run: run.to_vec(), start: start.to_vec(), draw: draw.unbind(), ids }
    }

    /// An event with a new id: (its id, the item), or None.
    #[pyo3(signature = (layout, seq, at, fields, fixed = None))]
    fn write<'py>(
        &self,
        layout: &Layout,
        seq: &Bound<'py, PyAny>,
        at: &Bound<'py, PyAny>,
        fields: &Bound<'py, PyAny>,
        fixed: Option<&Bound<'py, PyTuple>>,
    ) -> Option<(Bound<'py, PyString>, Bound<'py, PyBytes>)> {
        let py = at.py();
        unless_it_panics(|| {
            let id = self.new_id(py, whole(at, 0, LAST_MICROSECOND).ok()?).ok()?;
            let id = std::str::from_utf8(&id).ok()?;
            let item = self.item(layout, id, seq, at, fixed, fields).ok()?;
            Some((PyString::new(py, id), PyBytes::new(py, &item)))
        })
    }

    /// An event that has its id already: the item, or None.
    fn encode<'py>(
        &self,
        layout: &Layout,
        event_id: &Bound<'py, PyAny>,
        seq: &Bound<'py, PyAny>,
        at: &Bound<'py, PyAny>,
        fields: &Bound<'py, PyAny>,
    ) -> Option<Bound<'py, PyBytes>> {
        unless_it_panics(|| {
            let item = self.item(layout, text(event_id).ok()?, seq, at, None, fields).ok()?;
            Some(PyBytes::new(at.py(), &item))
        })
    }
}

impl RunPen {
    fn item(
        &self,
        layout: &Layout,
        event_id: &str,
        seq: &Bound<'_, PyAny>,
        at: &Bound<'_, PyAny>,
        fixed: Option<&Bound<'_, PyTuple>>,
        fields: &Bound<'_, PyAny>,
    ) -> Taken<Vec<u8>> {
        let values = layout.gather(fixed, fields.cast_exact::<PyDict>().map_err(|_| Refused)?)?;
        let mut out = Vec::with_capacity(1024);
        put_text(&mut out, event_id);
        out.extend_from_slice(&self.run);
        put_long(&mut out, whole(seq, 0, i64::MAX)?);
        out.extend_from_slice(&layout.type_text);
        out.extend_from_slice(&self.start);
        put_long(&mut out, whole(at, 0, LAST_MICROSECOND)?);
        layout.put(&mut out, &values)?;
        Ok(out)
    }

    fn new_id(&self, py: Python<'_>, at: i64) -> Taken<[u8; EVENT_ID_DIGITS]> {
        let second = at >> SECOND_BITS;
        loop {
            let mut ids = self.ids.lock().map_err(|_| Refused)?;
            if ids.second == second && ids.used < IDS_OF_A_DRAW {
                let mut id = [b'0'; EVENT_ID_DIGITS];
                let (drawn, counted) = id.split_at_mut(DRAWN_DIGITS);
                drawn.copy_from_slice(&ids.prefix);
                for (digit, shift) in counted.iter_mut().zip([8, 4, 0]) {
                    *digit = hex_digit(ids.used >> shift & 15);
                }
                ids.used += 1;
                return Ok(id);
            }
            drop(ids); // Python may do anything, and is not waited for with a lock in hand
            let drawn = self.draw.bind(py).call0()?;
            let prefix: [u8; DRAWN_DIGITS] = text(&drawn)?.as_bytes().try_into().map_err(|_| Refused)?;
            *self.ids.lock().map_err(|_| Refused)? = Ids { second, prefix, used: 0 };
        }
    }
}

fn hex_digit(value: u32) -> u8 {
    char::from_digit(value, 16).map_or(b'0', |digit| digit as u8)
}
