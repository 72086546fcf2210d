// A GitHub on loopback: emulate (https://emulate.dev) behind a front that adds what it lacks.
//
//     node emulator.mjs <folder of .tools/emulate> <file of settings>
//
// Prints its address. One address serves pages, API and git, as the App's site has them:
//
// - /OWNER/NAME.git goes to `git http-backend`, to whoever brings an installation token as the password that may do it. What was
//   pushed is told to the emulator commit by commit before git hears that it is done: its pull requests are of branches that it knows.
// - Reactions, the buttons of check runs and the list of webhooks' deliveries are kept here: the emulator has none.
// - Webhooks come here first, signed by the emulator, and go on to the service with a GUID of their own: the emulator's is the
//   millisecond. A comment on a pull request says that it is one, and a push to one is told: there alone they are signed here.
// - A token that nobody minted is refused; the emulator takes any.
// - Everything else is the emulator's.
//
// /front/service (POST) names the service's address; /front (GET) shows what was seen here.
import { spawn } from "node:child_process";
import { createHmac, randomUUID, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createSocket } from "node:net";
import { pathToFileURL } from "node:url";

const [modules, file] = process.argv.slice(2);
// {app, secret, key, people: {login: {token, permission}}, repository, bare}: the first of the people owns the organisation.
const settings = JSON.parse(readFileSync(file, "utf8"));
const { app, secret, repository, people } = settings;
const [organization, name] = repository.split("/");
const [owner] = Object.keys(people);
const { createEmulator } = await import(pathToFileURL(`${modules}/node_modules/emulate/dist/api.js`));

const seen = { reactions: [], deliveries: [], git: [], buttons: [], refused: [] };
const minted = new Map(); // token -> {permissions, repositories}
const pulls = new Set(); // their numbers
const branches = new Map(); // name -> commit, as the emulator knows them
let service = null;

const bodyOf = async (request) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
};
const answer = (response, status, body, headers = {}) => {
  const text = body === null ? "" : JSON.stringify(body);
  response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(text), ...headers }).end(text);
};
const signature = (body) => `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`;
const tokenOf = (request) => (request.headers.authorization ?? "").replace(/^(Bearer|token) /i, "");
const may = (token, subject, level) => {
  const granted = minted.get(token);
  const enough = granted?.permissions[subject] === "write" || granted?.permissions[subject] === level;
  return enough && granted.repositories.includes(repository);
};

// The emulator's own answer.
async function emulated(method, path, token, body) {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const reply = await fetch(`${emulator}${path}`, { method, headers, body: body && JSON.stringify(body) });
  const text = await reply.text();
  return { status: reply.status, link: reply.headers.get("link"), json: text ? JSON.parse(text) : null };
}
async function told(method, path, body) {
  const { status, json } = await emulated(method, `/repos/${repository}${path}`, people[owner].token, body);
  if (status >= 300) throw new Error(`the emulator answers ${method} ${path} with ${status}: ${JSON.stringify(json)}`);
  return json;
}

// git -------------------------------------------------------------------------------------------------------------------------

function run(program, args, { input, env, text = true } = {}) {
  return new Promise((done, failed) => {
    const child = spawn(program, args, { env: { PATH: process.env.PATH, GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_NOSYSTEM: "1", ...env }, stdio: ["pipe", "pipe", "inherit"] });
    const chunks = [];
    child.stdout.on("data", (chunk) => chunks.push(chunk));
    child.stdin.on("error", () => {}); // It may end before it has read all.
    child.on("error", failed);
    child.on("close", (code) => {
      const output = Buffer.concat(chunks);
      code === 0 ? done(text ? output.toString() : output) : failed(new Error(`${program} ${args.join(" ")}: exit code ${code}`));
    });
    child.stdin.end(input);
  });
}
const git = (...args) => run("git", ["-c", "safe.directory=*", "--git-dir", settings.bare, ...args]);
const lines = (text) => text.split("\n").filter(Boolean);

async function overGit(request, response, path, query) {
  const body = await bodyOf(request);
  const asked = /git-(upload|receive)-pack/.exec(`${path}?${query}`);
  const level = asked?.[1] === "receive" ? "write" : "read";
  const [user, token] = Buffer.from((request.headers.authorization ?? "").replace(/^Basic /, ""), "base64").toString().split(":");
  if (!token) return answer(response, 401, { message: "who?" }, { "www-authenticate": 'Basic realm="GitHub"' });
  if (user !== "x-access-token" || !may(token, "contents", level)) {
    seen.refused.push({ git: asked?.[0], user, permissions: minted.get(token)?.permissions ?? null });
    return answer(response, 403, { message: "this token may not do that" });
  }
  seen.git.push({ service: asked[0], method: request.method, permissions: minted.get(token).permissions });
  const env = {
    GIT_PROJECT_ROOT: settings.bare,
    GIT_HTTP_EXPORT_ALL: "1",
    GIT_CONFIG_COUNT: "1",
    GIT_CONFIG_KEY_0: "safe.directory",
    GIT_CONFIG_VALUE_0: "*",
    REQUEST_METHOD: request.method,
    PATH_INFO: path.slice(`/${repository}.git`.length),
    QUERY_STRING: query,
    REMOTE_USER: user,
    CONTENT_TYPE: request.headers["content-type"] ?? "",
    CONTENT_LENGTH: String(body.length),
    HTTP_CONTENT_ENCODING: request.headers["content-encoding"] ?? "",
    GIT_PROTOCOL: request.headers["git-protocol"] ?? "",
  };
  const output = await run("git", ["http-backend"], { input: body, env, text: false });
  const end = output.indexOf("\r\n\r\n");
  const headers = Object.fromEntries(output.subarray(0, end).toString().split("\r\n").map((line) => line.split(": ")));
  if (request.method === "POST" && level === "write") await tellPushes(token);
  const { Status: status = "200", ...others } = headers;
  const pack = output.subarray(end + 4);
  response.writeHead(parseInt(status), { ...others, "content-length": pack.length }).end(pack);
}

// What is in the repository and not in the emulator yet.
async function tellPushes(token) {
  for (const line of lines(await git("for-each-ref", "--format=%(objectname) %(refname:lstrip=2)", "refs/heads"))) {
    const [commit, branch] = line.split(" ");
    const before = branches.get(branch);
    if (before === commit) continue;
    const known = [...branches.values()].map((there) => `^${there}`);
    for (const there of lines(await git("rev-list", "--reverse", commit, ...known))) await tellCommit(there);
    if (before) await told("PATCH", `/git/refs/heads/${branch}`, { sha: commit, force: true });
    else await told("POST", "/git/refs", { ref: `refs/heads/${branch}`, sha: commit });
    branches.set(branch, commit);
    if (before && token) await tellSynchronized(branch, before, commit);
  }
}

async function tellCommit(commit) {
  const tree = [];
  for (const entry of (await git("ls-tree", "-r", "-z", commit)).split("\0").filter(Boolean)) {
    const [, mode, type, sha, path] = /^(\d+) (\w+) (\w+)\t(.*)$/s.exec(entry);
    if (type === "blob") {
      const content = await run("git", ["-c", "safe.directory=*", "--git-dir", settings.bare, "cat-file", "blob", sha], { text: false });
      await told("POST", "/git/blobs", { content: content.toString("base64"), encoding: "base64" });
    }
    tree.push({ mode, type, sha, path });
  }
  const text = await git("cat-file", "commit", commit);
  const head = text.slice(0, text.indexOf("\n\n"));
  const header = (key) => [...head.matchAll(new RegExp(`^${key} (.*)$`, "gm"))].map((match) => match[1]);
  const person = (key) => {
    const [, name, email, seconds, zone] = /^(.*) <(.*)> (\d+) ([+-]\d{4})$/.exec(header(key)[0]);
    const ahead = Number(`${zone[0]}1`) * (Number(zone.slice(1, 3)) * 60 + Number(zone.slice(3))) * 60_000;
    const date = new Date(Number(seconds) * 1000 + ahead).toISOString().slice(0, 19) + `${zone.slice(0, 3)}:${zone.slice(3)}`;
    return { name, email, date };
  };
  const made = await told("POST", "/git/trees", { tree });
  const message = text.slice(head.length + 2);
  const parents = header("parent");
  const there = await told("POST", "/git/commits", { message, tree: made.sha, parents, author: person("author"), committer: person("committer") });
  if (there.sha !== commit) throw new Error(`the emulator knows ${commit} as ${there.sha}`);
}

// The emulator leaves a pull request at the commit that it was opened with.
const atHead = (pull) => (pull?.head && branches.has(pull.head.ref) ? { ...pull, head: { ...pull.head, sha: branches.get(pull.head.ref) } } : pull);

async function tellSynchronized(branch, before, after) {
  for (const pull of await told("GET", `/pulls?state=open&head=${organization}:${encodeURIComponent(branch)}`)) {
    const sender = { login: `${app.slug}[bot]`, type: "Bot" };
    const repo = await told("GET", "");
    await deliver("pull_request", { action: "synchronize", number: pull.number, before, after, pull_request: atHead(pull), repository: repo, sender });
  }
}

// webhooks --------------------------------------------------------------------------------------------------------------------

async function hooked(request, response) {
  const body = await bodyOf(request);
  const signed = request.headers["x-hub-signature-256"] ?? "";
  if (signed.length !== 71 || !timingSafeEqual(Buffer.from(signed), Buffer.from(signature(body)))) throw new Error(`the emulator signs a webhook with ${signed}`);
  const event = request.headers["x-github-event"];
  const payload = JSON.parse(body);
  if (event === "issue_comment" && pulls.has(payload.issue?.number)) {
    const url = `${payload.repository.url}/pulls/${payload.issue.number}`;
    await deliver(event, { ...payload, issue: { ...payload.issue, pull_request: { url } } });
  } else {
    await deliver(event, payload, body);
  }
  answer(response, 200, {});
}

async function deliver(event, payload, body = Buffer.from(JSON.stringify(payload)), guid = randomUUID()) {
  const delivery = { id: seen.deliveries.length + 1, guid, event, action: payload.action ?? null, sender: payload.sender?.login, delivered_at: new Date().toISOString() };
  const sent = performance.now();
  const headers = { "content-type": "application/json", "x-github-event": event, "x-github-delivery": guid, "x-hub-signature-256": signature(body) };
  try {
    if (service === null) throw new Error("nobody is there");
    const reply = await fetch(`http://${service}/webhooks/github`, { method: "POST", headers, body });
    Object.assign(delivery, { status_code: reply.status, said: await reply.json() });
  } catch (error) {
    Object.assign(delivery, { status_code: 0, said: String(error) });
  }
  seen.deliveries.push({ ...delivery, took_ms: Math.round(performance.now() - sent) });
  Object.defineProperty(seen.deliveries.at(-1), "sent", { value: { event, payload, body }, enumerable: false });
}

// API -------------------------------------------------------------------------------------------------------------------------

async function reacted(request, response, path) {
  const token = tokenOf(request);
  const { content } = JSON.parse(await bodyOf(request));
  const subject = path.slice(`/repos/${repository}`.length, -"/reactions".length);
  if (!may(token, "issues", "write") || !may(token, "pull_requests", "write")) {
    seen.refused.push({ reaction: subject, permissions: minted.get(token)?.permissions ?? null });
    return answer(response, 403, { message: "Resource not accessible by integration" });
  }
  // A pull request is an issue too, which the emulator does not find as one.
  const there = pulls.has(Number(subject.replace("/issues/", ""))) ? subject.replace("/issues/", "/pulls/") : subject;
  if ((await emulated("GET", `/repos/${repository}${there}`, token)).status !== 200) return answer(response, 404, { message: "Not Found" });
  const known = seen.reactions.find((reaction) => reaction.subject === subject && reaction.content === content);
  const reaction = known ?? { id: seen.reactions.length + 1, subject, content, at: new Date().toISOString() };
  if (!known) seen.reactions.push(reaction);
  answer(response, known ? 200 : 201, { ...reaction, user: { login: `${app.slug}[bot]`, type: "Bot" } });
}

async function api(request, response, path, query) {
  const token = tokenOf(request);
  const isApp = token.startsWith("eyJ");
  if (!isApp && !minted.has(token) && !Object.values(people).some((person) => person.token === token)) {
    seen.refused.push({ api: `${request.method} ${path}` });
    return answer(response, 401, { message: "Bad credentials" });
  }
  if (request.method === "GET" && path === "/app/hook/deliveries") return answer(response, 200, [...seen.deliveries].reverse());
  const attempt = /^\/app\/hook\/deliveries\/(\d+)\/attempts$/.exec(path);
  if (request.method === "POST" && attempt) {
    const { sent, guid } = seen.deliveries[attempt[1] - 1];
    await deliver(sent.event, sent.payload, sent.body, guid);
    return answer(response, 202, {});
  }
  const text = await bodyOf(request);
  const body = text.length ? JSON.parse(text) : undefined;
  const { status, link, json } = await emulated(request.method, path + (query && `?${query}`), token, body);
  if (status === 201 && path.endsWith("/access_tokens")) {
    minted.set(json.token, { permissions: json.permissions, repositories: (json.repositories ?? []).map((there) => there.full_name) });
  }
  const run = /\/check-runs(\/\d+)?$/.exec(path);
  if (run && body && status < 300) seen.buttons.push({ check_run: json.id, head_sha: json.head_sha, status: body.status, actions: body.actions?.map((action) => action.identifier) ?? null });
  const pull = /\/pulls(\/\d+)?$/.test(path);
  if (status === 201 && pull) pulls.add(json.number);
  const told = pull ? (Array.isArray(json) ? json.map(atHead) : atHead(json)) : json;
  if (status >= 400) seen.refused.push({ api: `${request.method} ${path}`, status, message: json?.message });
  answer(response, status, told, link ? { link } : {});
}

async function handle(request, response) {
  const [path, query = ""] = request.url.split("?");
  if (path === "/front") return answer(response, 200, seen);
  if (path === "/front/service") {
    service = JSON.parse(await bodyOf(request)).address;
    return answer(response, 200, {});
  }
  if (path === "/hooks") return hooked(request, response);
  if (path.startsWith(`/${repository}.git/`)) return overGit(request, response, path, query);
  if (request.method === "POST" && path.startsWith(`/repos/${repository}/`) && path.endsWith("/reactions")) return reacted(request, response, path);
  return api(request, response, path, query);
}

const front = createServer((request, response) => {
  handle(request, response).catch((error) => {
    console.error(`${request.method} ${request.url}: ${error.stack}`);
    if (response.headersSent) response.destroy();
    else answer(response, 500, { message: String(error) });
  });
});
const listening = (server) => new Promise((done) => server.listen(0, "127.0.0.1", () => done(server.address().port)));
const url = `http://127.0.0.1:${await listening(front)}`;

// The emulator does not say which port it took: it gets one that was free.
const socket = createSocket();
const port = await listening(socket);
await new Promise((done) => socket.close(done));
const emulator = `http://127.0.0.1:${port}`;
const tokens = Object.fromEntries(Object.entries(people).map(([login, { token }]) => [token, { login, scopes: ["repo"] }]));
const github = {
  // The emulator takes a token that it does not know for the first one's: nobody may come that far.
  users: [{ login: "nobody" }, ...Object.keys(people).map((login) => ({ login, name: people[login].name }))],
  orgs: [{ login: organization, members: [{ login: owner, role: "admin" }] }],
  repos: [{ owner: organization, name, private: true, auto_init: false }],
  apps: [{
    ...app,
    name: "Code team",
    private_key: settings.key,
    webhook_url: `${url}/hooks`,
    webhook_secret: secret,
    installations: [{ installation_id: 100, account: organization, repository_selection: "all" }],
  }],
};
await createEmulator({ service: "github", port, baseUrl: url, seed: { tokens, github } });
for (const [login, { permission }] of Object.entries(people)) {
  if (permission) await told("PUT", `/collaborators/${login}`, { permission });
}
await tellPushes(null);
console.log(url);
