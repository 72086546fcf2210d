//! The tools of the suite do what they say, and its checks see what they are made to see.

#[cfg(test)]
mod doors;
#[cfg(test)]
mod planted;
#[cfg(test)]
mod planted_hub;
#[cfg(test)]
mod points;
