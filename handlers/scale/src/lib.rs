//! Asks for as many workers as there is work, and for none when there is none.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use config::{Configured, Need, Services, failure};
use dispatch::{Ctx, Handler, HandlerError};
use domain::scale::{Bounds, Decision, Load, Why, decide};
use domain::{Capacity, CapacityError, Mode};
use serde::{Deserialize, Serialize};
use store::{Db, load};

/// When to try again after whoever has the workers was away.
const PAUSE: Duration = Duration::from_secs(5);
/// How often one call looks at a mode before it leaves the rest to the next.
const LOOKS: u32 = 3;

/// Sets how many workers each mode should have.
///
/// Harmless twice: it sets a target and no difference, and what it goes by (the load, and since when there was none) is in the
/// database, so that any number of services may call it at the same time.
#[derive(Clone)]
pub struct Scale {
    /// Where the jobs are.
    pub db: Db,
    /// Where the workers come from; `None` = they are started by hand.
    pub capacity: Option<Arc<dyn Capacity>>,
    /// The bounds of the mechanics and of the geniuses.
    pub bounds: [Bounds; 2],
}

/// Which modes to look at.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScaleRequest {
    /// This one; `None` = all.
    #[serde(default)]
    pub mode: Option<Mode>,
}

/// How many workers a mode has been given.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Scaled {
    /// The mode.
    pub mode: Mode,
    /// What it has to do.
    #[serde(flatten)]
    pub load: Load,
    /// Workers that are there.
    pub running: u32,
    /// Workers that were asked for until now.
    pub before: u32,
    /// Workers that are asked for from now on.
    pub desired: u32,
    /// Why so many.
    pub why: Why,
}

impl Handler for Scale {
    const NAME: &'static str = "scale";
    type Request = ScaleRequest;
    type Response = Vec<Scaled>;

    async fn handle(&self, _ctx: Ctx, request: ScaleRequest) -> Result<Vec<Scaled>, HandlerError> {
        let Some(capacity) = &self.capacity else {
            return Err(HandlerError::Invalid(
                "no workers can be asked for: set ECS_CLUSTER, use `codeteam up`, or start them by hand with `codeteam work`".to_owned(),
            ));
        };
        let modes = request.mode.map_or_else(|| vec![Mode::Mechanic, Mode::Genius], |mode| vec![mode]);
        let mut scaled = Vec::with_capacity(modes.len());
        for mode in modes {
            scaled.push(self.scale(capacity.as_ref(), mode).await?);
        }
        Ok(scaled)
    }
}

impl Scale {
    async fn scale(&self, capacity: &dyn Capacity, mode: Mode) -> Result<Scaled, HandlerError> {
        let bounds = self.bounds[mode as usize];
        // Beyond what all workers together can take it makes no difference how much there is.
        let most = bounds.slots.max(1).saturating_mul(bounds.most).saturating_add(1);
        let mut before = None;
        let mut looks = 0;
        loop {
            looks += 1;
            let counts = capacity.counts(mode).await.map_err(of_capacity)?;
            let load = load::of(&self.db, mode, most).await.map_err(failure::of_store)?;
            let idle_for = load::idle_for(&self.db, mode, load).await.map_err(failure::of_store)?;
            let Decision { desired, why } = decide(bounds, load, idle_for, counts.desired);
            if desired != counts.desired {
                capacity.set_desired(mode, desired).await.map_err(of_capacity)?;
            }
            let before = *before.get_or_insert(counts.desired);
            // Fewer than before: work that came since the look, and for which somebody else had just asked for workers, would be
            // left without them until the next tick.
            if desired >= counts.desired || looks == LOOKS {
                return Ok(Scaled { mode, load, running: counts.running, before, desired, why });
            }
        }
    }
}

fn of_capacity(error: CapacityError) -> HandlerError {
    match error {
        CapacityError::Unavailable(_) => HandlerError::RetryAfter { after: PAUSE, message: error.to_string() },
        CapacityError::Refused(_) => failure::of_worker(&error),
    }
}

impl Configured for Scale {
    const NEEDS: &'static [Need] = &[Need::Database];

    async fn configure(services: &Services) -> Result<Self> {
        let deployment = &services.settings.deployment;
        let bounds = [Mode::Mechanic, Mode::Genius].map(|mode| Bounds {
            slots: deployment.worker_slots.into(),
            most: *deployment.workers_max.of(mode),
            least_busy: deployment.workers_while_busy(mode),
        });
        Ok(Self { db: services.db().await?, capacity: services.capacity().await?, bounds })
    }
}
