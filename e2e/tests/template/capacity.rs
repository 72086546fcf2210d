//! The database's connections: everybody together, at the most of each, stays below 70 % of what there are.

use super::Template;

/// The most sessions that can be open at the same time, and the most that the server has.
pub(super) fn sessions(template: &Template) -> (u64, u64) {
    let server = template.referred(&template.get("Database").text("/DBParameterGroupName")).number("/Parameters/max_connections");
    let dashboard = template.get("DashboardTask").environment(0);
    let number = |name: &str| dashboard[name].parse::<u64>().expect("a number");
    // While a service is deployed there are more of it.
    let most = |service: &str, tasks: u64| tasks * template.get(service).number("/DeploymentConfiguration/MaximumPercent") / 100;
    let processes = [
        ("DashboardTask", most("DashboardService", template.get("DashboardCapacity").number("/MaxCapacity"))),
        ("MechanicTask", most("MechanicService", number("WORKERS_MAX_MECHANIC"))),
        ("GeniusTask", most("GeniusService", number("WORKERS_MAX_GENIUS"))),
    ];
    let pooled = dashboard["DATABASE_POOLER"] == "transaction";
    let own: u64 = processes
        .iter()
        .map(|(task, count)| count * template.get(task).environment(0)["DATABASE_CONNECTIONS"].parse::<u64>().expect("a number"))
        .sum();
    let of_pooler = || {
        if template.has("ProxyTargets") {
            return server * template.get("ProxyTargets").number("/ConnectionPoolConfigurationInfo/MaxConnectionsPercent") / 100;
        }
        let service = template.get("PoolerService");
        let command = template.get("PoolerTask").properties["ContainerDefinitions"][0]["Command"].as_array().cloned().unwrap_or_default();
        let at = command.iter().position(|word| word == "--pool-size").expect("PgBouncer's pool has a size");
        let size: u64 = command[at + 1].as_str().and_then(|size| size.parse().ok()).expect("a number");
        most("PoolerService", service.number("/DesiredCount")) * size
    };
    // Every process listens on a session of its own where there is one to be had.
    let listens = !pooled || template.has("DatabaseListenUrl");
    let listeners: u64 = if listens { processes.iter().map(|(_, count)| count).sum() } else { 0 };
    let migration: u64 = template.get("MigrateTask").environment(0)["DATABASE_CONNECTIONS"].parse().expect("a number");
    (if pooled { of_pooler() } else { own } + listeners + migration, server)
}

#[tokio::test]
async fn all_tasks_at_their_most_leave_three_in_ten_connections_free() {
    let rows = [
        ("Environment=prod", (68, 100)),
        ("Environment=prod Pooler=rds-proxy DatabaseAuth=iam", (68, 100)),
        ("Environment=prod Pooler=none", (64, 100)),
        ("Environment=dev", (12, 20)),
        ("Environment=dev Pooler=rds-proxy", (12, 20)),
    ];
    for (choice, expected) in rows {
        let (open, server) = sessions(&Template::of(choice).await);
        assert_eq!((open, server), expected, "{choice}: README.md of deploy/ has the same numbers");
        assert!(open * 100 < server * 70, "{choice}: {open} of {server}");
    }
}
