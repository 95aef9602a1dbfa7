// Holds the producer against the vectors: every value byte for byte, every run in its partition.
import { readFileSync } from "node:fs";
import { encode, partition } from "./producer.mjs";

const { vectors } = JSON.parse(readFileSync(new URL("../vectors.json", import.meta.url), "utf8"));
let wrong = 0;
for (const { name, messages, partitions } of vectors) {
  for (const { events, value } of messages) {
    const runId = events[0].run_id;
    const same = encode(events[0].emitter_id, events).toString("hex") === value;
    const placed = Object.entries(partitions).every(([count, told]) => partition(runId, Number(count)) === told);
    if (!same || !placed) wrong += 1;
    console.log(`${same && placed ? "ok" : "WRONG"} ${name}`);
  }
}
process.exitCode = wrong || !vectors.length ? 1 : 0;
