// pg-boss: `load N`, `drain default|<settings as JSON> N`.
import { PgBoss } from "pg-boss";
import pg from "pg";

const [what, ...rest] = process.argv.slice(2);
const { PGHOST: host, PGPORT: port, PGUSER: user, PGDATABASE: database } = process.env;
const boss = new PgBoss({ host, port: +port, user, database, max: 20 });
const pgPool = new pg.Pool({ max: 1 });
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const answer = (value) => console.log(JSON.stringify(value));
boss.on("error", (error) => console.error(error));
await boss.start();

if (what === "load") {
  await boss.createQueue("noop");
  for (let n = 0; n < +rest[0]; n += 1000) {
    const jobs = Array.from({ length: Math.min(1000, +rest[0] - n) }, (_, i) => ({ data: { n: n + i } }));
    await boss.insert("noop", jobs);
  }
  answer({});
} else if (what === "drain") {
  const settings = rest[0] === "default" ? {} : JSON.parse(rest[0]);
  let left = +rest[1];
  let ended;
  const all = new Promise((resolve) => (ended = resolve));
  const started = performance.now();
  await boss.work("noop", settings, async (jobs) => {
    left -= jobs.length;
    if (left <= 0) ended();
  });
  await all;
  // Only what is written down is done.
  const open = "select exists (select from pgboss.job where name = 'noop' and state < 'completed') as some";
  while ((await pgPool.query(open)).rows[0].some) await sleep(1);
  answer({ seconds: (performance.now() - started) / 1000 });
}
process.exit(0);
