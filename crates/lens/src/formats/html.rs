use crate::LensError;
use crate::lens::Lens;
pub fn page(_: &Lens) -> Result<String, LensError> { Ok(String::new()) }
