// Refuses and records, in every Node process, all that would leave this machine.
"use strict";
const dns = require("node:dns");
const fs = require("node:fs");
const net = require("node:net");
const dgram = require("node:dgram");

const here = new Set([undefined, null, "", "localhost", "127.0.0.1", "::1"]);

function check(what, host) {
  if (here.has(host)) return;
  fs.appendFileSync(
    process.env.NETWORK_ATTEMPTS,
    `node ${process.argv.slice(1, 3)}: ${what} ${host}\n`,
  );
  throw new Error(`refused: ${what} ${host}`);
}

function guard(owner, name, hostOf) {
  const original = owner[name];
  owner[name] = function (...args) {
    check(name, hostOf(args));
    return original.apply(this, args);
  };
}

for (const owner of [dns, dns.promises]) {
  for (const name of Object.keys(owner)) {
    if (/^(lookup|resolve.*|reverse)$/.test(name)) guard(owner, name, ([host]) => host);
  }
}
guard(net.Socket.prototype, "connect", (args) => {
  const [first, second] = Array.isArray(args[0]) ? args[0] : args;
  if (first !== null && typeof first === "object") return first.host;
  return typeof second === "string" ? second : undefined;
});
guard(dgram.Socket.prototype, "send", ([, ...args]) =>
  args.find((each) => typeof each === "string"),
);
