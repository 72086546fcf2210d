//! A handler whose ports write down what they are asked.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alarm_react::{AlarmReact, Limits};
use async_trait::async_trait;
use dispatch::{Ctx, InvokeError, Registry};
use domain::{Capacity, CapacityError, Clock, Counts, Epoch, JobId, Mode, NewJob, NoticeError, Notices, OwnerId, SystemClock};
use serde_json::{Value, json};
use store::enqueue::{Enqueued, enqueue};
use store::queue::{self, LEASE};
use store::workers::{self, Present};
use testkit::{TestDb, new_job};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::Notify;

/// Topics of which each call fails until it is told otherwise, or never comes back.
#[derive(Default)]
pub struct Heard {
    told: Mutex<Vec<(String, String)>>,
    pub refuses: Mutex<Option<NoticeError>>,
    pub hangs: Mutex<bool>,
    pub called: Notify,
}

#[async_trait]
impl Notices for Heard {
    async fn publish(&self, subject: &str, text: &str) -> Result<(), NoticeError> {
        self.called.notify_one();
        if *self.hangs.lock().unwrap() {
            std::future::pending::<()>().await;
        }
        if let Some(error) = self.refuses.lock().unwrap().clone() {
            return Err(error);
        }
        self.told.lock().unwrap().push((subject.to_owned(), text.to_owned()));
        Ok(())
    }
}

/// Workers of which as many are wanted as a test says.
#[derive(Default)]
pub struct Fleet {
    pub counts: Mutex<Counts>,
    pub stopped: Mutex<Vec<String>>,
    pub refuses: Mutex<Option<CapacityError>>,
}

#[async_trait]
impl Capacity for Fleet {
    async fn counts(&self, _mode: Mode) -> Result<Counts, CapacityError> {
        Ok(*self.counts.lock().unwrap())
    }

    async fn set_desired(&self, _mode: Mode, _desired: u32) -> Result<(), CapacityError> {
        panic!("an alarm asks for no workers");
    }

    async fn stop(&self, task: &str, reason: &str) -> Result<bool, CapacityError> {
        if let Some(error) = self.refuses.lock().unwrap().clone() {
            return Err(error);
        }
        let mut stopped = self.stopped.lock().unwrap();
        let was_there = !stopped.iter().any(|known| known.starts_with(task));
        stopped.push(format!("{task}: {reason}"));
        Ok(was_there)
    }
}

pub struct World {
    pub test: TestDb,
    pub heard: Arc<Heard>,
    pub fleet: Arc<Fleet>,
    pub handler: AlarmReact,
}

impl World {
    pub async fn new() -> Self {
        let test = TestDb::new().await;
        let (heard, fleet) = (Arc::<Heard>::default(), Arc::<Fleet>::default());
        let handler = AlarmReact {
            db: test.db.clone(),
            notices: heard.clone(),
            capacity: Some(fleet.clone()),
            instance: None,
            workers_max: [10, 3],
            limits: Limits::default(),
            clock: Arc::new(SystemClock),
        };
        Self { test, heard, fleet, handler }
    }

    pub async fn invoke(&self, event: Value) -> Result<Value, InvokeError> {
        Registry::new().with(self.handler.clone()).invoke("alarm-react", Ctx::with_timeout(Duration::from_secs(30)), event).await
    }

    /// The actions that the alarm with this suffix brings when it goes off now.
    pub async fn goes_off(&self, suffix: &str) -> Vec<Value> {
        let answer = self.invoke(alarm(suffix, "ALARM", now())).await.unwrap();
        assert_eq!((&answer["reaction"], &answer["was_done"]), (&json!(suffix), &json!(false)));
        let kept = self.test.value("select actions from alarms order by alarm_id desc limit 1").await;
        assert_eq!(serde_json::from_str::<Value>(&kept).unwrap(), answer["actions"], "what was answered is what was written down");
        answer["actions"].as_array().unwrap().clone()
    }

    /// What people heard, oldest first: subject and text.
    pub fn told(&self) -> Vec<(String, String)> {
        self.heard.told.lock().unwrap().clone()
    }

    /// Waits until the handler is about to tell people.
    pub async fn is_telling(&self) {
        tokio::time::timeout(Duration::from_secs(30), self.heard.called.notified()).await.expect("people are about to be told");
    }

    pub async fn write(&self, job: NewJob) -> JobId {
        match enqueue(&self.test.db, &job, None, None, None).await.unwrap() {
            Enqueued::New(job_id) => job_id,
            other => panic!("{other:?}"),
        }
    }

    /// A job of a mechanic that `owner` holds.
    pub async fn held(&self, owner: OwnerId) -> (JobId, Epoch) {
        let job_id = self.write(new_job()).await;
        let claimed = queue::claim_one(&self.test.db, owner, job_id, LEASE, None).await.unwrap().unwrap();
        (job_id, claimed.epoch)
    }

    /// A worker that was seen last so many seconds ago.
    pub async fn worker(&self, task_arn: Option<&str>, seconds_ago: u32) -> OwnerId {
        let owner = OwnerId::new();
        let modes = vec![Mode::Mechanic, Mode::Genius];
        let task_arn = task_arn.map(str::to_owned);
        let present = Present { owner, host: "rack-7".to_owned(), task_arn, modes, slots: 2, version: "0.1.0".to_owned() };
        workers::seen(&self.test.db, &present).await.unwrap();
        self.test.execute(&format!("update workers set seen_at = now() - interval '{seconds_ago} s' where owner = '{}'", owner.0)).await;
        owner
    }

    /// A field of a job's queue row.
    pub async fn queued(&self, job_id: JobId, field: &str) -> String {
        self.test.value(&format!("select {field} from queue where job_id = '{job_id}'")).await
    }

    /// A job's last event: kind and fields.
    pub async fn last_event(&self, job_id: JobId) -> String {
        let last = format!("select kind || ' ' || data from events where job_id = '{job_id}' order by seq desc limit 1");
        self.test.value(&last).await
    }
}

pub fn now() -> OffsetDateTime {
    SystemClock.now()
}

/// CloudWatch's words for the alarm `ai-coding-team-prod-SUFFIX`, as a topic gets them.
pub fn alarm(suffix: &str, state: &str, changed_at: OffsetDateTime) -> Value {
    json!({
        "AlarmName": format!("ai-coding-team-prod-{suffix}"),
        "NewStateValue": state,
        "OldStateValue": "OK",
        "NewStateReason": "Threshold Crossed",
        "StateChangeTime": changed_at.format(&Rfc3339).unwrap(),
    })
}

pub fn events() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../events")
}

/// A sample event.
pub fn event(file: &str) -> Value {
    serde_json::from_slice(&std::fs::read(events().join(file)).unwrap()).unwrap()
}
