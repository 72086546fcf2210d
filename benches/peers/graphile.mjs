// graphile-worker: `load N`, `drain default|<settings as JSON> N`, `wake N`.
import { Logger, run, runMigrations } from "graphile-worker";
import pg from "pg";

const [what, ...rest] = process.argv.slice(2);
const pgPool = new pg.Pool({ max: 30 });
pgPool.on("error", (error) => console.error(error));
pgPool.on("connect", (session) => session.on("error", (error) => console.error(error)));
const logger = new Logger(() => () => {});
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const answer = (value) => console.log(JSON.stringify(value));

if (what === "load") {
  await runMigrations({ pgPool });
  const specs = "select array_agg(row('noop', json_build_object('n', n), null, null, null, null, null, null)::graphile_worker.job_spec)";
  for (let n = 0; n < +rest[0]; n += 1000) {
    const some = `${specs} from generate_series($1::int, $2::int) n`;
    await pgPool.query(`select count(*) from graphile_worker.add_jobs((${some}))`, [n + 1, Math.min(n + 1000, +rest[0])]);
  }
  answer({});
} else if (what === "drain") {
  const worker = rest[0] === "default" ? {} : JSON.parse(rest[0]);
  let left = +rest[1];
  let ended;
  const all = new Promise((resolve) => (ended = resolve));
  const noop = async () => {
    if (--left === 0) ended();
  };
  const runner = await run({ pgPool, logger, taskList: { noop }, noHandleSignals: true, preset: { worker } });
  const started = performance.now();
  await all;
  // Only what is written down is done.
  while ((await pgPool.query("select exists (select from graphile_worker.jobs) as some")).rows[0].some) await sleep(1);
  answer({ seconds: (performance.now() - started) / 1000 });
  await runner.stop();
} else if (what === "wake") {
  let came;
  const noop = async () => came(performance.now());
  const runner = await run({ pgPool, logger, taskList: { noop }, noHandleSignals: true, preset: { worker: {} } });
  const micros = [];
  await sleep(500);
  for (let n = 0; n < +rest[0]; n++) {
    const arrived = new Promise((resolve) => (came = resolve));
    const started = performance.now();
    await runner.addJob("noop", { n });
    micros.push(Math.round(((await arrived) - started) * 1000));
    await sleep(10);
  }
  answer({ micros });
  await runner.stop();
}
await pgPool.end();
process.exit(0);
