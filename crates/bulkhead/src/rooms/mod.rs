//! Who is in, and who waits.

mod line;
mod place;
mod room;
mod table;

pub(crate) use self::{
    place::{Admission, Place, Refused, Waiting},
    table::{Capacity, Learned, Rooms},
};
