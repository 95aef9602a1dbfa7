//! What is known here of events, the contract and the words.
//!
//! Made by `python -m tests.contract.core_schema` of the committed schemas and of what Python says.

use crate::contract::Rule;
use crate::event::Kind;

/// How many fields an event has.
pub const FIELDS: usize = 74;
pub const EVENT_ID: usize = 0;
pub const RUN_ID: usize = 1;
pub const PROJECT: usize = 2;
pub const WORKFLOW: usize = 3;
pub const EMITTER_ID: usize = 4;
pub const SEQ: usize = 5;
pub const EVENT_TYPE: usize = 6;
pub const RUN_STARTED_AT: usize = 7;
pub const OCCURRED_AT: usize = 8;
pub const STARTED_AT: usize = 9;
pub const STEP_ID: usize = 10;
pub const PARENT_STEP_ID: usize = 11;
pub const STEP_KIND: usize = 12;
pub const STEP_NAME: usize = 13;
pub const STATUS: usize = 14;
pub const ERROR_TYPE: usize = 15;
pub const RETRY_COUNT: usize = 16;
pub const COST_USD: usize = 17;
pub const INPUT_TOKENS: usize = 18;
pub const OUTPUT_TOKENS: usize = 19;
pub const ROUTE: usize = 20;
pub const ROUTE_REASON: usize = 21;
pub const ROUTE_CONFIDENCE: usize = 22;
pub const ROUTE_POLICY_VERSION: usize = 23;
pub const PROMPT_ID: usize = 24;
pub const PROMPT_VERSION: usize = 25;
pub const MODEL_PROVIDER: usize = 26;
pub const MODEL_NAME: usize = 27;
pub const MODEL_POLICY: usize = 28;
pub const TEMPERATURE: usize = 29;
pub const TOP_P: usize = 30;
pub const SEED: usize = 31;
pub const SYSTEM_FINGERPRINT: usize = 32;
pub const CONFIDENCE: usize = 33;
pub const REFUSAL: usize = 34;
pub const PARSER_VERSION: usize = 35;
pub const SCHEMA_VERSION: usize = 36;
pub const INPUT_REF: usize = 37;
pub const PARSED_ARTIFACT_REF: usize = 38;
pub const CONTEXT_REFS: usize = 39;
pub const RAW_OUTPUT_REF: usize = 40;
pub const EVIDENCE_REFS: usize = 41;
pub const VALIDATION_ERRORS: usize = 42;
pub const FIELD_PATH: usize = 43;
pub const EVIDENCE_REQUIRED: usize = 44;
pub const PROVENANCE_SCORE: usize = 45;
pub const CONFLICTING_REFS: usize = 46;
pub const NEXT_STEP: usize = 47;
pub const POLICY_HASH: usize = 48;
pub const FALLBACK_TAKEN: usize = 49;
pub const FALLBACK_REASON: usize = 50;
pub const REVIEW_OUTCOME: usize = 51;
pub const REVIEWER_REF: usize = 52;
pub const OVERRIDE_REF: usize = 53;
pub const REVIEW_NOTE_REF: usize = 54;
pub const EVAL_CASE_ID: usize = 55;
pub const EVAL_OUTCOME: usize = 56;
pub const FINAL_STATE: usize = 57;
pub const EXPECTED_EVENTS: usize = 58;
pub const EXPECTED_STEPS: usize = 59;
pub const LABELS: usize = 60;
pub const CONFLICT_SIDES: usize = 61;
pub const ORIGINAL_KIND: usize = 62;
pub const REQUEST_MODEL: usize = 63;
pub const ATTRIBUTES_REF: usize = 64;
pub const SESSION_ID: usize = 65;
pub const USER_HASH: usize = 66;
pub const WORKFLOW_SOURCE: usize = 67;
pub const EVALUATION_NAME: usize = 68;
pub const EVALUATION_SCORE: usize = 69;
pub const EVALUATION_SCALE: usize = 70;
pub const EVALUATION_LABEL: usize = 71;
pub const EVALUATOR: usize = 72;
pub const EXPLANATION_REF: usize = 73;

/// How each is written.
pub const KINDS: [Kind; FIELDS] = [
    Kind::Text,
    Kind::Text,
    Kind::Text,
    Kind::Text,
    Kind::Text,
    Kind::Long,
    Kind::Text,
    Kind::Long,
    Kind::Long,
    Kind::MaybeLong,
    Kind::MaybeText,
    Kind::MaybeText,
    Kind::MaybeText,
    Kind::MaybeText,
    Kind::MaybeText,
    Kind::MaybeText,
    Kind::MaybeInt,
    Kind::MaybeDouble,
    Kind::MaybeLong,
    Kind::MaybeLong,
    Kind::MaybeText,
    Kind::MaybeText,
    Kind::MaybeDouble,
    Kind::MaybeText,
    Kind::MaybeText,
    Kind::MaybeText,
    Kind::MaybeText,
    Kind::MaybeText,
    Kind::MaybeText,
    Kind::MaybeDouble,
    Kind::MaybeDouble,
    Kind::MaybeLong,
    Kind::MaybeText,
    Kind::MaybeDouble,
    Kind::MaybeBoolean,
    Kind::MaybeText,
    Kind::MaybeText,
    Kind::MaybeText,
    Kind::MaybeText,
    Kind::Texts,
    Kind::MaybeText,
    Kind::Texts,
    Kind::Texts,
    Kind::MaybeText,
    Kind::MaybeBoolean,
    Kind::MaybeDouble,
    Kind::Texts,
    Kind::MaybeText,
    Kind::MaybeText,
    Kind::MaybeText,
    Kind::MaybeText,
    Kind::MaybeText,
    Kind::MaybeText,
    Kind::MaybeText,
    Kind::MaybeText,
    Kind::MaybeText,
    Kind::MaybeText,
    Kind::MaybeText,
    Kind::MaybeInt,
    Kind::Texts,
    Kind::Labels,
    Kind::Sides,
    Kind::MaybeText,
    Kind::MaybeText,
    Kind::MaybeText,
    Kind::MaybeText,
    Kind::MaybeText,
    Kind::MaybeText,
    Kind::MaybeText,
    Kind::MaybeDouble,
    Kind::MaybeText,
    Kind::MaybeText,
    Kind::MaybeText,
    Kind::MaybeText,
];
/// What the contract asks of those that are said.
pub const RULES: &[(usize, Rule)] = &[
    (EVENT_ID, Rule::Hex(32)),
    (RUN_ID, Rule::Hex(32)),
    (STEP_ID, Rule::Hex(16)),
    (PARENT_STEP_ID, Rule::Hex(16)),
    (PROJECT, Rule::Chars(1, 256)),
    (WORKFLOW, Rule::Chars(1, 256)),
    (EMITTER_ID, Rule::Chars(1, 256)),
    (STEP_NAME, Rule::Chars(1, 256)),
    (EVENT_TYPE, Rule::Chars(1, 256)),
    (STEP_KIND, Rule::Chars(1, 256)),
    (STATUS, Rule::Chars(1, 256)),
    (NEXT_STEP, Rule::Chars(1, 256)),
    (FALLBACK_TAKEN, Rule::Chars(1, 256)),
    (REVIEW_OUTCOME, Rule::Chars(1, 256)),
    (EVAL_OUTCOME, Rule::Chars(1, 256)),
    (FINAL_STATE, Rule::Chars(1, 256)),
    (RUN_STARTED_AT, Rule::Whole(0, 253402300799999999)),
    (OCCURRED_AT, Rule::Whole(0, 253402300799999999)),
    (STARTED_AT, Rule::Whole(0, 253402300799999999)),
    (ROUTE_CONFIDENCE, Rule::Number(0.0, 1.0)),
    (CONFIDENCE, Rule::Number(0.0, 1.0)),
    (PROVENANCE_SCORE, Rule::Number(0.0, 1.0)),
    (TOP_P, Rule::Number(0.0, 1.0)),
    (COST_USD, Rule::Number(0.0, f64::MAX)),
    (TEMPERATURE, Rule::Number(0.0, f64::MAX)),
    (SEQ, Rule::Number(0.0, f64::MAX)),
    (RETRY_COUNT, Rule::Number(0.0, f64::MAX)),
    (INPUT_TOKENS, Rule::Number(0.0, f64::MAX)),
    (OUTPUT_TOKENS, Rule::Number(0.0, f64::MAX)),
    (EXPECTED_EVENTS, Rule::Number(1.0, f64::MAX)),
    (CONTEXT_REFS, Rule::Items(1000)),
    (EVIDENCE_REFS, Rule::Items(1000)),
    (CONFLICTING_REFS, Rule::Items(1000)),
    (VALIDATION_ERRORS, Rule::Items(1000)),
    (EXPECTED_STEPS, Rule::Items(1000)),
    (CONFLICT_SIDES, Rule::Items(100)),
    (LABELS, Rule::Items(32)),
    (INPUT_REF, Rule::Reference(2048)),
    (PARSED_ARTIFACT_REF, Rule::Reference(2048)),
    (RAW_OUTPUT_REF, Rule::Reference(2048)),
    (ATTRIBUTES_REF, Rule::Reference(2048)),
    (REVIEWER_REF, Rule::Reference(2048)),
    (OVERRIDE_REF, Rule::Reference(2048)),
    (REVIEW_NOTE_REF, Rule::Reference(2048)),
    (EXPLANATION_REF, Rule::Reference(2048)),
    (CONTEXT_REFS, Rule::References(2048)),
    (EVIDENCE_REFS, Rule::References(2048)),
    (CONFLICTING_REFS, Rule::References(2048)),
];
/// What an event of a type must say.
pub const MUST_SAY: &[(&[u8], &[usize])] = &[
    (b"step_started", &[STEP_ID, STEP_KIND, STEP_NAME, STARTED_AT]),
    (b"step_finished", &[STEP_ID, STEP_KIND, STEP_NAME, STARTED_AT, STATUS]),
    (b"evidence_checked", &[STEP_ID, STEP_KIND, STEP_NAME, FIELD_PATH, EVIDENCE_REQUIRED]),
    (b"fallback_taken", &[FALLBACK_TAKEN]),
    (b"review_recorded", &[REVIEW_OUTCOME]),
    (b"eval_recorded", &[EVAL_CASE_ID]),
    (b"evaluation_recorded", &[EVALUATION_NAME]),
    (b"run_finished", &[FINAL_STATE, STATUS]),
];
/// What a decision is called when it comes by the events topic.
pub const CLAIMS: &[(&[u8], &[u8])] = &[
    (b"review_recorded", b"review_claimed"),
    (b"eval_recorded", b"eval_claimed"),
];
/// What a step must say so that it can be compared: its kind, the field, only when it ended well, and both.
pub const REQUIRED: &[(&[u8], usize, bool, &[u8])] = &[
    (b"input", INPUT_REF, true, b"input.input_ref"),
    (b"parse", PARSER_VERSION, false, b"parse.parser_version"),
    (b"parse", PARSED_ARTIFACT_REF, true, b"parse.parsed_artifact_ref"),
    (b"classify", ROUTE, false, b"classify.route"),
    (b"classify", ROUTE_REASON, false, b"classify.route_reason"),
    (b"classify", ROUTE_CONFIDENCE, false, b"classify.route_confidence"),
    (b"classify", ROUTE_POLICY_VERSION, false, b"classify.route_policy_version"),
    (b"route", ROUTE, false, b"route.route"),
    (b"route", ROUTE_REASON, false, b"route.route_reason"),
    (b"route", ROUTE_CONFIDENCE, false, b"route.route_confidence"),
    (b"route", ROUTE_POLICY_VERSION, false, b"route.route_policy_version"),
    (b"prompt", PROMPT_ID, false, b"prompt.prompt_id"),
    (b"prompt", PROMPT_VERSION, false, b"prompt.prompt_version"),
    (b"model_call", MODEL_PROVIDER, false, b"model_call.model_provider"),
    (b"model_call", MODEL_NAME, false, b"model_call.model_name"),
    (b"model_call", MODEL_POLICY, false, b"model_call.model_policy"),
    (b"model_call", PROMPT_ID, false, b"model_call.prompt_id"),
    (b"model_call", PROMPT_VERSION, false, b"model_call.prompt_version"),
    (b"model_call", TEMPERATURE, false, b"model_call.temperature"),
    (b"model_call", TOP_P, false, b"model_call.top_p"),
    (b"model_call", SEED, false, b"model_call.seed"),
    (b"model_call", SYSTEM_FINGERPRINT, false, b"model_call.system_fingerprint"),
    (b"model_call", RAW_OUTPUT_REF, true, b"model_call.raw_output_ref"),
    (b"validate", SCHEMA_VERSION, false, b"validate.schema_version"),
];
/// A step's record: the fields that its events say, None for those that are found of it.
pub const STEP_RECORD: &[Option<usize>] = &[
    Some(STEP_ID),
    Some(PARENT_STEP_ID),
    Some(STEP_KIND),
    Some(STEP_NAME),
    Some(STATUS),
    Some(ERROR_TYPE),
    Some(RETRY_COUNT),
    None,
    None,
    None,
    Some(COST_USD),
    Some(INPUT_TOKENS),
    Some(OUTPUT_TOKENS),
    Some(ROUTE),
    Some(ROUTE_REASON),
    Some(ROUTE_CONFIDENCE),
    Some(ROUTE_POLICY_VERSION),
    Some(PROMPT_ID),
    Some(PROMPT_VERSION),
    Some(MODEL_PROVIDER),
    Some(MODEL_NAME),
    Some(MODEL_POLICY),
    Some(TEMPERATURE),
    Some(TOP_P),
    Some(SEED),
    Some(SYSTEM_FINGERPRINT),
    Some(CONFIDENCE),
    Some(REFUSAL),
    Some(PARSER_VERSION),
    Some(SCHEMA_VERSION),
    Some(INPUT_REF),
    Some(PARSED_ARTIFACT_REF),
    Some(CONTEXT_REFS),
    Some(RAW_OUTPUT_REF),
    Some(EVIDENCE_REFS),
    Some(VALIDATION_ERRORS),
    Some(LABELS),
    Some(ORIGINAL_KIND),
    Some(REQUEST_MODEL),
    Some(ATTRIBUTES_REF),
];
/// The record of a piece of evidence.
pub const EVIDENCE_RECORD: &[usize] = &[
    EVENT_ID,
    STEP_ID,
    FIELD_PATH,
    EVIDENCE_REQUIRED,
    PROVENANCE_SCORE,
    EVIDENCE_REFS,
    CONFLICTING_REFS,
    NEXT_STEP,
    POLICY_HASH,
    OCCURRED_AT,
    RETRY_COUNT,
];
pub const ROUTED: crate::run::decisions::Decision = crate::run::decisions::Decision {
    says: &[ROUTE],
    ranks: &[(b"route", 2), (b"classify", 1)],
    well: false,
};
pub const PROMPTED: crate::run::decisions::Decision = crate::run::decisions::Decision {
    says: &[PROMPT_ID, PROMPT_VERSION],
    ranks: &[(b"prompt", 1), (b"model_call", 1)],
    well: false,
};
pub const MODELLED: crate::run::decisions::Decision = crate::run::decisions::Decision {
    says: &[MODEL_PROVIDER, MODEL_NAME],
    ranks: &[(b"model_call", 1)],
    well: true,
};
pub const SHOWN: crate::run::decisions::Decision = crate::run::decisions::Decision {
    says: &[CONTEXT_REFS],
    ranks: &[(b"model_call", 2), (b"prompt", 1)],
    well: false,
};
/// How far behind a word that is said outright each source of a workflow's name is.
pub const SOURCES: &[(&[u8], u8)] = &[
    (b"agent", 1),
    (b"service", 2),
    (b"span", 3),
];
pub const AFTERTHOUGHTS: &[&[u8]] = &[
    b"review_recorded",
    b"eval_recorded",
    b"review_claimed",
    b"eval_claimed",
    b"evaluation_recorded",
];
pub const CLAIMED: &[&[u8]] = &[
    b"review_claimed",
    b"eval_claimed",
];
pub const ON_THE_WAY: &[&[u8]] = &[
    b"classify",
    b"embedding",
    b"guardrail",
    b"input",
    b"mask",
    b"parse",
    b"prompt",
    b"reranker",
    b"retrieve",
    b"route",
    b"validate",
];
pub const TRIED_AGAIN: &[&[u8]] = &[
    b"narrower_scope",
    b"other_model",
    b"retry",
    b"simpler_model",
    b"stronger_model",
];
pub const GAVE_LESS: &[&[u8]] = &[
    b"human_review",
    b"partial_answer",
    b"safe_message",
    b"stop",
];
pub const UNNUMBERED: &[u8] = b"otlp";
pub const LOSS_STEP: &[u8] = b"causeline.spool";
pub const LOSS_ERROR: &[u8] = b"EventsLost";
pub const LOST_EVENTS: &[u8] = b"lost.events";
pub const DOUBLED: &[u8] = b"otel.doubled";
pub const SKEW_LABEL: &[u8] = b"clock.skew_s";
pub const SCOPE_LABEL: &[u8] = b"otel.scope";
pub const UNKNOWN_SCOPE: &[u8] = b"unknown";
pub const ROOTS_LABEL: &[u8] = b"otel.roots";
pub const CLAIMS_LABEL: &[u8] = b"foreign.decisions";
pub const FOREIGN_LABEL: &[u8] = b"foreign.events";
pub const ASSEMBLER_VERSION: &[u8] = b"8";

// EventType
pub const TYPE_RUN_STARTED: &[u8] = b"run_started";
pub const TYPE_STEP_STARTED: &[u8] = b"step_started";
pub const TYPE_STEP_FINISHED: &[u8] = b"step_finished";
pub const TYPE_EVIDENCE_CHECKED: &[u8] = b"evidence_checked";
pub const TYPE_FALLBACK_TAKEN: &[u8] = b"fallback_taken";
pub const TYPE_REVIEW_RECORDED: &[u8] = b"review_recorded";
pub const TYPE_EVAL_RECORDED: &[u8] = b"eval_recorded";
pub const TYPE_EVALUATION_RECORDED: &[u8] = b"evaluation_recorded";
pub const TYPE_RUN_FINISHED: &[u8] = b"run_finished";

// StepKind
pub const KIND_INPUT: &[u8] = b"input";
pub const KIND_PARSE: &[u8] = b"parse";
pub const KIND_MASK: &[u8] = b"mask";
pub const KIND_CLASSIFY: &[u8] = b"classify";
pub const KIND_ROUTE: &[u8] = b"route";
pub const KIND_AGENT: &[u8] = b"agent";
pub const KIND_WORKFLOW: &[u8] = b"workflow";
pub const KIND_CHAIN: &[u8] = b"chain";
pub const KIND_EMBEDDING: &[u8] = b"embedding";
pub const KIND_RETRIEVE: &[u8] = b"retrieve";
pub const KIND_RERANKER: &[u8] = b"reranker";
pub const KIND_PROMPT: &[u8] = b"prompt";
pub const KIND_MODEL_CALL: &[u8] = b"model_call";
pub const KIND_TOOL: &[u8] = b"tool";
pub const KIND_GUARDRAIL: &[u8] = b"guardrail";
pub const KIND_VALIDATE: &[u8] = b"validate";
pub const KIND_EVIDENCE: &[u8] = b"evidence";
pub const KIND_FALLBACK: &[u8] = b"fallback";
pub const KIND_REVIEW: &[u8] = b"review";
pub const KIND_EVAL: &[u8] = b"eval";
pub const KIND_OUTPUT: &[u8] = b"output";
pub const KIND_CUSTOM: &[u8] = b"custom";

// Status
pub const STATUS_OK: &[u8] = b"ok";
pub const STATUS_ERROR: &[u8] = b"error";
pub const STATUS_SKIPPED: &[u8] = b"skipped";

// Verdict
pub const VERDICT_COMPLETE: &[u8] = b"complete";
pub const VERDICT_PARTIAL: &[u8] = b"partial";
pub const VERDICT_UNFINISHED: &[u8] = b"unfinished";

// CloseReason
pub const CLOSEREASON_FINISHED: &[u8] = b"finished";
pub const CLOSEREASON_GRACE: &[u8] = b"grace";
pub const CLOSEREASON_IDLE: &[u8] = b"idle";
pub const CLOSEREASON_MAX_OPEN: &[u8] = b"max_open";
pub const CLOSEREASON_OVERFLOW: &[u8] = b"overflow";

// FinalState
pub const FINALSTATE_ANSWERED: &[u8] = b"answered";
pub const FINALSTATE_PARTIAL: &[u8] = b"partial";
pub const FINALSTATE_STOPPED: &[u8] = b"stopped";
pub const FINALSTATE_FAILED: &[u8] = b"failed";
pub const FINALSTATE_HANDED_OVER: &[u8] = b"handed_over";

// FallbackKind
pub const FALLBACK_RETRY: &[u8] = b"retry";
pub const FALLBACK_NARROWER_SCOPE: &[u8] = b"narrower_scope";
pub const FALLBACK_SIMPLER_MODEL: &[u8] = b"simpler_model";
pub const FALLBACK_STRONGER_MODEL: &[u8] = b"stronger_model";
pub const FALLBACK_OTHER_MODEL: &[u8] = b"other_model";
pub const FALLBACK_HUMAN_REVIEW: &[u8] = b"human_review";
pub const FALLBACK_PARTIAL_ANSWER: &[u8] = b"partial_answer";
pub const FALLBACK_SAFE_MESSAGE: &[u8] = b"safe_message";
pub const FALLBACK_STOP: &[u8] = b"stop";

pub const MOST_LOST: i128 = 1099511627776;
pub const SKEW_FROM_S: i64 = 600;
