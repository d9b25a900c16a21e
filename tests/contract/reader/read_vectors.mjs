/** Reads every vector by the generated shapes; prints what went otherwise than it should. */
import { readFileSync } from "node:fs";
import { clientMisfit, readBrokerMessage, readLoginMessage } from "./read.js";

let read = 0;
const problems = [];

function vectors(name) {
  const rows = JSON.parse(readFileSync(new URL(`../vectors/${name}.json`, import.meta.url), "utf8"));
  read += rows.length;
  return rows;
}

function outcome(message, reader = readBrokerMessage) {
  try {
    return reader(JSON.stringify(message)) === null ? "ignored" : "read";
  } catch (error) {
    return error instanceof TypeError ? "refused" : `broke: ${error}`;
  }
}

function expect(name, expected, got) {
  if (expected !== got) problems.push(`${name}: should be ${expected}, is ${got}`);
}

for (const { name, message } of vectors("client-valid")) expect(name, null, clientMisfit(message));
for (const { name, message } of vectors("client-invalid")) {
  expect(name, "refused", clientMisfit(message) === null ? "read" : "refused");
}
for (const { name, message } of vectors("broker-valid")) expect(name, "read", outcome(message));
for (const { name, message } of vectors("broker-invalid")) {
  expect(name, "refused", outcome(message));
}
for (const { name, message, read: known } of vectors("broker-later")) {
  expect(name, known ? "read" : "ignored", outcome(message));
}
for (const { name, message } of vectors("login-valid")) {
  expect(name, "read", outcome(message, readLoginMessage));
}
for (const { name, message } of vectors("login-invalid")) {
  expect(name, "refused", outcome(message, readLoginMessage));
}
for (const problem of problems) console.error(problem);
console.log(`${read} vectors read`);
process.exitCode = problems.length === 0 && read > 100 ? 0 : 1;
