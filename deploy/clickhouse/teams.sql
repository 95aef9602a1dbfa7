-- One team's own runs and no others, on a ClickHouse server of your own: run it as an administrator after roles.sql, with `claims` made the team's
-- project throughout, once for each team. Then give its people, dashboards and console a user with that role:
--   CREATE USER claims IDENTIFIED WITH sha256_hash BY '…' DEFAULT ROLE causeline_team_claims;
-- A policy stands for every table, so views show what it lets through. What says no project (roll-ups, drift, alerts, dead letters, leases, policies)
-- shows a team nothing. Users of other roles see what they saw, as users_without_row_policies_can_read_rows has it by default.

CREATE ROLE IF NOT EXISTS causeline_team_claims SETTINGS PROFILE 'causeline_reading';
GRANT SELECT, SHOW ON causeline.* TO causeline_team_claims;

CREATE ROW POLICY IF NOT EXISTS team_claims ON causeline.narrow_event_rows, causeline.narrow_run_rows, causeline.run_order_rows, causeline.gap_rows, causeline.review_item_rows, causeline.cause_rows FOR SELECT USING project = 'claims' TO causeline_team_claims;
CREATE ROW POLICY IF NOT EXISTS team_claims ON causeline.run_document_rows FOR SELECT USING JSONExtractString(document, 2) = 'claims' TO causeline_team_claims;
CREATE ROW POLICY IF NOT EXISTS team_claims ON causeline.neighbour_rows FOR SELECT USING run_id IN (SELECT run_id FROM causeline.cause_rows WHERE project = 'claims') TO causeline_team_claims;
CREATE ROW POLICY IF NOT EXISTS team_claims ON causeline.dead_letter_rows, causeline.dead_replay_rows, causeline.alert_rows, causeline.rollup_rows, causeline.rollup_sum_rows, causeline.drift_judgement_rows, causeline.drift_mark_rows, causeline.drift_pin_rows, causeline.policy_use_rows, causeline.review_lease_rows, causeline.erasure_rows FOR SELECT USING 0 TO causeline_team_claims;
