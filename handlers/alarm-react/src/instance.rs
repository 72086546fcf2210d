//! The machine of the database, as whoever runs it sees it.

use async_trait::async_trait;
use aws::rds::{Instance, InstanceState};

/// Who knows the machine that the database is on.
#[async_trait]
pub trait DatabaseInstance: Send + Sync {
    /// What it is, in words for a person: class, state, storage, version.
    ///
    /// # Errors
    /// Why nobody knows, without a secret.
    async fn describe(&self) -> Result<String, String>;
}

#[async_trait]
impl DatabaseInstance for Instance {
    async fn describe(&self) -> Result<String, String> {
        Self::describe(self).await.map(|state| words(&state)).map_err(|error| error.to_string())
    }
}

fn words(state: &InstanceState) -> String {
    let InstanceState { id, status, class, version, multi_az, storage_gib, storage_most_gib, parameter_groups } = state;
    let zones = if *multi_az { "in two zones" } else { "in one zone" };
    let most = storage_most_gib.map(|most| format!(", up to {most}")).unwrap_or_default();
    let groups: Vec<String> = parameter_groups.iter().map(|(name, applied)| format!("{name} ({applied})")).collect();
    let groups = if groups.is_empty() { "none".to_owned() } else { groups.join(", ") };
    format!("{id} is {status}: {class}, PostgreSQL {version}, {zones}, {storage_gib} GiB{most}, parameter group {groups}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_told_in_words() {
        let state = InstanceState {
            id: "team-prod".to_owned(),
            status: "available".to_owned(),
            class: "db.t3.small".to_owned(),
            version: "18.1".to_owned(),
            multi_az: true,
            storage_gib: 20,
            storage_most_gib: Some(100),
            parameter_groups: vec![("team-prod".to_owned(), "pending-reboot".to_owned())],
        };
        let told = "team-prod is available: db.t3.small, PostgreSQL 18.1, in two zones, 20 GiB, up to 100, parameter group team-prod (pending-reboot)";
        assert_eq!(words(&state), told);
        let small = InstanceState { multi_az: false, storage_most_gib: None, parameter_groups: Vec::new(), ..state };
        assert!(words(&small).ends_with("in one zone, 20 GiB, parameter group none"));
    }
}
