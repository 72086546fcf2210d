// Judges requests by GitHub's own description of its REST API (https://github.com/octokit/openapi).
//
//     node judge.mjs <folder of .tools/github-api> < requests, a line of JSON each > verdicts, one line of JSON for each
//
// A request is {method, path, query, body}; a verdict null or what is wrong with it. An operation that is asked for with
// {example: "GET /path"} is answered with the reply that the description shows for it. {jwt, pem} asks whether that key signed it.
import { createPublicKey, verify } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const folder = process.argv[2];
const Ajv = createRequire(`${folder}/`)("ajv").default;
const file = `${folder}/node_modules/@octokit/openapi/generated/api.github.com.json`;
const description = JSON.parse(readFileSync(file, "utf8"));
const checks = (options) => new Ajv({ strict: false, validateFormats: false, allErrors: true, ...options });
const body = checks({}), parameter = checks({ coerceTypes: true });

const at = (reference) => reference.slice(2).split("/").reduce((place, key) => place[key.replaceAll("~1", "/")], description);
const resolved = (value) => (value?.$ref ? resolved(at(value.$ref)) : value);

// The description lets fields that it does not know pass; we do not, since nobody would notice a misspelt one. Inside of
// alternatives that is left as it is: they are about the fields of the object around them.
function closed(schema) {
  if (Array.isArray(schema)) return schema.map(closed);
  if (schema === null || typeof schema !== "object") return schema;
  const { oneOf, anyOf, allOf, ...rest } = resolved(schema);
  const copy = Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, key === "example" || key === "enum" ? value : closed(value)]));
  if (rest.properties && typeof rest.properties === "object" && !("additionalProperties" in rest)) copy.additionalProperties = false;
  return { ...copy, ...(oneOf && { oneOf }), ...(anyOf && { anyOf }), ...(allOf && { allOf }) };
}

function wrong(validate, value) {
  return validate(value) ? null : validate.errors.map((error) => `${error.instancePath || "/"} ${error.message} ${JSON.stringify(error.params)}`).join("; ");
}

// The operation, and what the places of its path hold. Of several the one with the fewest places is meant.
function operation(method, path) {
  const parts = path.split("/");
  const places = (template) => template.split("/").filter((part) => part.startsWith("{"));
  const fits = (template) => template.split("/").length === parts.length && template.split("/").every((part, i) => part.startsWith("{") || part === parts[i]);
  const templates = Object.keys(description.paths).filter(fits).sort((a, b) => places(a).length - places(b).length);
  const template = templates.find((template) => description.paths[template][method.toLowerCase()]);
  if (!template) return null;
  const values = Object.fromEntries(template.split("/").flatMap((part, i) => (part.startsWith("{") ? [[part.slice(1, -1), decodeURIComponent(parts[i])]] : [])));
  const found = description.paths[template];
  return { template, values, parameters: [...(found.parameters ?? []), ...(found[method.toLowerCase()].parameters ?? [])].map(resolved), ...{ described: found[method.toLowerCase()] } };
}

function judge(request) {
  const found = operation(request.method, request.path);
  if (!found) return `no operation ${request.method} ${request.path}`;
  for (const [where, values] of [["path", found.values], ["query", request.query ?? {}]]) {
    for (const [name, value] of Object.entries(values)) {
      const declared = found.parameters.find((parameter) => parameter.in === where && parameter.name === name);
      if (!declared) return `no parameter ${name} in the ${where} of ${request.method} ${found.template}`;
      const problem = wrong(parameter.compile({ type: "object", properties: { value: resolved(declared.schema) } }), { value });
      if (problem) return `${name} in the ${where} of ${found.template}: ${problem}`;
    }
  }
  const missing = found.parameters.find((parameter) => parameter.in === "query" && parameter.required && !(parameter.name in (request.query ?? {})));
  if (missing) return `${missing.name} is missing in the query of ${found.template}`;
  const wanted = resolved(found.described.requestBody);
  if (request.body === undefined || request.body === null) return wanted?.required ? `${request.method} ${found.template} wants a body` : null;
  const schema = wanted?.content?.["application/json"]?.schema;
  if (!schema) return `${request.method} ${found.template} takes no body`;
  const problem = wrong(body.compile({ components: description.components, ...closed(schema) }), request.body);
  return problem && `the body of ${request.method} ${found.template}: ${problem}`;
}

function example(asked) {
  const [method, path] = asked.split(" ");
  const reply = Object.entries(operation(method, path).described.responses).find(([status]) => status.startsWith("2"))[1];
  return resolved(Object.values(resolved(reply).content["application/json"].examples)[0]).value;
}

function signed({ jwt, pem }) {
  const [header, claims, signature] = jwt.split(".");
  const key = createPublicKey(pem);
  return verify("RSA-SHA256", Buffer.from(`${header}.${claims}`), key, Buffer.from(signature, "base64url")) ? null : "another key signed it";
}

for (const line of readFileSync(0, "utf8").split("\n").filter(Boolean)) {
  const request = JSON.parse(line);
  const verdict = request.example ? example(request.example) : request.jwt ? signed(request) : judge(request);
  console.log(JSON.stringify(verdict));
}
