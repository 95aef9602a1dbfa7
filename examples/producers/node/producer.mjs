// A producer of one run, from the Avro schema and docs/wire.md alone: `node producer.mjs` publishes it and prints its id.
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import avro from "avsc";
import kafkajs from "kafkajs";

const SCHEMA_ID = 1000003; // of trace-batch/3.avsc, a promise
const AVSC = new URL("../../../src/causeline/schemas/avro/trace-batch/3.avsc", import.meta.url);
const type = avro.Type.forSchema(JSON.parse(readFileSync(AVSC, "utf8")));
const partitioner = kafkajs.Partitioners.DefaultPartitioner; // murmur2 of the key, as Java's

// A Kafka value: 0x00, the schema's id, and one batch of events that go to one partition.
export function encode(emitterId, events) {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(SCHEMA_ID, 1);
  return Buffer.concat([head, type.toBuffer({ emitter_id: emitterId, events })]);
}

export function partition(runId, count) {
  const partitionMetadata = Array.from({ length: count }, (_, partitionId) => ({ partitionId, leader: 0 }));
  return partitioner()({ topic: "", partitionMetadata, message: { key: runId } });
}

const hex = (bytes) => randomBytes(bytes).toString("hex");
const micros = () => Math.round((performance.timeOrigin + performance.now()) * 1000);

// A run that numbers its events; `end` says how many there were, so that a loss is proven.
export class Run {
  constructor(project, workflow, fields = {}) {
    this.events = [];
    this.steps = [];
    const emitter = `node-${process.pid}-${hex(4)}`; // a process that restarts is another emitter
    this.constant = { run_id: hex(16), project, workflow, emitter_id: emitter, run_started_at: micros() };
    this.say("run_started", fields);
  }
  say(eventType, fields) {
    const number = { event_id: hex(16), seq: this.events.length, event_type: eventType, occurred_at: micros() };
    this.events.push({ ...this.constant, ...number, ...fields });
  }
  step(kind, name, startedAt, fields = {}) {
    this.steps.push(`${kind}:${name}`);
    const step = { step_id: hex(8), step_kind: kind, step_name: name, started_at: startedAt, status: "ok" };
    this.say("step_finished", { ...step, ...fields });
  }
  end(finalState, fields = {}) {
    const counted = { expected_events: this.events.length + 1, expected_steps: this.steps };
    this.say("run_finished", { final_state: finalState, status: "ok", ...counted, ...fields });
    return { key: this.constant.run_id, value: encode(this.constant.emitter_id, this.events) };
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const run = new Run("examples", "node", { input_ref: "artifact:question-1" });
  const began = micros();
  run.step("model_call", "answer", began, { model_name: "acme-large", input_tokens: 41, context_refs: ["doc:17#page=3"] });
  const message = run.end("answered");
  const brokers = (process.env.CAUSELINE_KAFKA_BOOTSTRAP_SERVERS ?? "127.0.0.1:9092").split(",");
  const kafka = new kafkajs.Kafka({ brokers, logLevel: kafkajs.logLevel.ERROR });
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1, createPartitioner: partitioner });
  await producer.connect();
  await producer.send({ topic: `${process.env.CAUSELINE_TOPIC_PREFIX ?? "causeline"}.events`, acks: -1, messages: [message] });
  await producer.disconnect();
  console.log(message.key);
}
