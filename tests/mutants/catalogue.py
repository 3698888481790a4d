"""The mutants."""

from __future__ import annotations

from tests.mutants.mutant import Change, Mutant

MUTANTS = (
    Mutant(
        "outbox dropped",
        "An accepted form waits for the next look of the catch-up; where that fails too, nobody ever assesses it.",
        "tests/intake/test_api.py::test_an_accepted_response_waits_in_the_outbox_until_triage_was_told",
        (
            Change(
                "services/intake/migrations/0014_store_by_key.sql",
                "        INSERT INTO outbox (tenant_id, queue, ref_id, ref_version) "
                "VALUES (in_tenant, in_queue, of_id, of_version);\n",
                "",
            ),
        ),
    ),
    Mutant(
        "outbox dropped for what comes together",
        "The same for what is stored at first sight, which nearly all forms are.",
        "tests/intake/test_together.py::"
        "test_what_comes_together_is_stored_in_one_transaction_each_with_its_message_and_its_record",
        (
            Change(
                "services/intake/migrations/0013_create_response.sql",
                "    INSERT INTO outbox (tenant_id, queue, ref_id, ref_version) "
                "VALUES (in_tenant, in_queue, in_id, 1);\n",
                "",
            ),
        ),
    ),
    Mutant(
        "message acknowledged early",
        "A worker that dies takes the message of an emergency with it.",
        "tests/shared/test_broker.py::test_a_message_whose_worker_dies_comes_again",
        (Change("shared/broker.py", "task_acks_late=True", "task_acks_late=False"),),
    ),
    Mutant(
        "two current assessments",
        "Two verdicts on the same answers stand side by side, and the milder one may be read.",
        "tests/triage/test_store.py::test_the_database_itself_refuses_a_second_current_assessment",
        (
            Change(
                "shared/migrations/0001_resource.sql",
                "CREATE UNIQUE INDEX resource_current",
                "CREATE INDEX resource_current",
            ),
            Change("services/triage/migrations/0001_triage.sql", ",\n    UNIQUE (tenant_id, response_id, pack)", ""),
        ),
    ),
    Mutant(
        "no fencing token",
        "A worker that was frozen for a minute wakes up and overwrites what another one found since.",
        "tests/shared/test_jobs.py::test_a_worker_that_lost_its_lease_can_no_longer_finish",
        (
            Change(
                "shared/jobs.sql",
                "UPDATE job SET state = %(state)s, finished_at = now(), lease_token = NULL, lease_until = NULL\n"
                "WHERE tenant_id = %(tenant_id)s AND kind = %(kind)s AND ref_id = %(ref_id)s "
                "AND ref_version = %(ref_version)s\n"
                "  AND state = 'running' AND lease_token = %(token)s",
                "UPDATE job SET state = %(state)s, finished_at = now(), lease_token = NULL, lease_until = NULL\n"
                "WHERE tenant_id = %(tenant_id)s AND kind = %(kind)s AND ref_id = %(ref_id)s "
                "AND ref_version = %(ref_version)s",
            ),
        ),
    ),
    Mutant(
        "a countdown instead of due rows",
        "The next attempt of a failed message lives in the memory of a process; a restart forgets it.",
        "tests/notify/test_deliver.py::test_a_refused_mail_is_tried_again_until_it_is_taken_under_the_same_message_id",
        (
            Change(
                "services/notify/deliver.py",
                "        held = jobs.retry(connection, claim, error=result.detail, "
                "delay_s=pause / timedelta(seconds=1), counts=False)\n",
                "        held = jobs.finish(connection, claim)\n"
                "        threading.Timer(pause / timedelta(seconds=1), lambda: None).start()\n",
            ),
        ),
    ),
    Mutant(
        "unknown read as no in one flag",
        "A torn Achilles tendon is missed when the person did not dare to try a heel raise.",
        "tests/triage/test_rules_for_injuries.py::"
        "test_a_sudden_pain_in_the_heel_cord_is_seen_even_when_no_heel_raise_was_tried",
        (
            Change(
                "services/triage/knowledge/packs/posterior-lower-limb/1.0.0/red_flags.toml",
                "achilles_site & sudden & duration_days<=42 & cannot_single_heel_raise~",
                "achilles_site & sudden & duration_days<=42 & cannot_single_heel_raise",
            ),
        ),
    ),
    Mutant(
        "unknown read as no everywhere",
        "Every red flag that counts a missing answer as a danger falls silent.",
        "tests/triage/test_red_flags.py::test_unknown_weight_bearing_after_an_injury_counts_as_unable",
        (
            Change(
                "services/triage/engine/truth.py",
                "{NO: NO, YES: YES, UNKNOWN: YES, NOT_REACHED: YES}",
                "{NO: NO, YES: YES, UNKNOWN: NO, NOT_REACHED: NO}",
            ),
        ),
    ),
    Mutant(
        "gate open",
        "Anybody with any token reads and writes any patient.",
        "tests/access/test_gate.py::test_a_good_token_may_do_nothing_else",
        (Change("shared/access/gate.py", "            require(principal, needs)\n", "            pass\n"),),
    ),
    Mutant(
        "a name twice in one object",
        "Of two contradicting answers in one body the last one silently wins: chest pain becomes no chest pain.",
        "tests/shared/test_parse.py::test_what_json_allows_and_this_system_does_not_is_told_with_its_place",
        (
            Change(
                "shared/fhir/strict_json.py",
                "    repeated = names_in_text(body) != measured.names\n",
                "    repeated = False\n",
            ),
        ),
    ),
    Mutant(
        "safety net gone",
        "A form with chest pain and a mistake in its JSON is refused, and nobody ever looks at it.",
        "tests/intake/test_safety_net.py::"
        "test_a_refused_response_is_kept_with_its_outbox_row_before_the_refusal_is_answered",
        (
            Change(
                "services/intake/safety_net.py",
                "    return content is not None and holds_answers(content)\n",
                "    return False\n",
            ),
        ),
    ),
    Mutant(
        "row security gone",
        "One forgotten condition in a query, and a clinic reads another clinic's patients.",
        "tests/shared/test_row_security.py::test_a_query_without_a_tenant_sees_nothing",
        (
            Change(
                "shared/migrations/0006_row_security.sql",
                "CREATE POLICY own_tenant ON %I USING (tenant_id = (SELECT present_tenant())) '",
                "CREATE POLICY own_tenant ON %I USING (true) '",
            ),
        ),
    ),
    Mutant(
        "tenant from a header",
        "Whoever writes another clinic's id into a header reads and writes there.",
        "tests/tenants/test_line.py::test_a_tenant_that_is_named_in_a_request_is_not_believed",
        (
            Change(
                "shared/principal.py",
                "    principal: Principal = request.state.principal\n    return principal\n",
                "    principal: Principal = request.state.principal\n"
                '    named = request.headers.get("x-tenant-id")\n'
                "    return Principal(principal.id, UUID(named), principal.scopes) if named else principal\n",
            ),
        ),
    ),
    Mutant(
        "an older version overwrites a newer one",
        "What the patient corrected since is forgotten, and the assessment of the old answers stands.",
        "tests/triage/test_store.py::test_a_run_for_an_older_response_that_commits_last_writes_nothing",
        (
            Change(
                "services/triage/migrations/0010_chunk.sql",
                "WHERE held.response_version < excluded.response_version AND held.version_id = excluded.version_id - 1",
                "WHERE held.version_id >= excluded.version_id - 1",
            ),
        ),
    ),
    Mutant(
        "an emergency only joins",
        "The open same-day alert of a patient swallows the emergency that follows: nobody is told within the hour.",
        "tests/notify/test_raise_alert.py::test_a_worse_assessment_alerts_again_at_once_with_higher_priority",
        (
            Change(
                "services/notify/alert.py",
                "    if arrival.rank < open_alert.rank or _urgent_again(arrival, newest, open_alert):\n",
                "    if _urgent_again(arrival, newest, open_alert):\n",
            ),
        ),
    ),
    Mutant(
        "acknowledging and firing do not wait for each other",
        "A doctor who is on the way is paged again, and the step that overwrites it undoes the acknowledgement.",
        "tests/notify/test_escalate.py::test_while_somebody_acknowledges_no_step_begins",
        (
            Change(
                "services/notify/store.sql",
                "AND id = %(id)s AND due_at <= now() FOR UPDATE SKIP LOCKED",
                "AND id = %(id)s AND due_at <= now()",
            ),
        ),
    ),
    Mutant(
        "the chain ends in silence",
        "An emergency that nobody acknowledged by the last step is told to nobody any more.",
        "tests/notify/on_call/test_chain.py::test_an_alert_that_nobody_acknowledges_is_told_for_ever_whatever_the_document_says",
        (
            Change(
                "services/notify/on_call/turn.py",
                "    told = _of_fallback(route, place, at)\n",
                "    told: tuple[Recipient, ...] = ()\n",
            ),
        ),
    ),
    Mutant(
        "quiet hours hold an emergency",
        "The pulmonary embolism of the night is told in the morning.",
        "tests/notify/on_call/test_escalation_stories.py::test_quiet_hours_never_hold_an_emergency",
        (
            Change(
                "services/notify/on_call/turn.py",
                "for person, _ in reachable if route.urgency != EMERGENCY}\n",
                "for person, _ in reachable}\n",
            ),
        ),
    ),
    Mutant(
        "two workers take the same work",
        "Every message goes out twice, and people learn not to look.",
        "tests/shared/test_jobs.py::test_twenty_workers_at_once_share_the_jobs_without_overlap",
        (
            Change(
                "shared/jobs.sql",
                "      AND due_at <= now() - make_interval(secs => %(min_age_s)s)\n"
                "    ORDER BY due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED",
                "      AND due_at <= now() - make_interval(secs => %(min_age_s)s)\n    ORDER BY due_at LIMIT %(limit)s",
            ),
        ),
    ),
    Mutant(
        "an acknowledged message goes out",
        "People are called about a patient whom somebody already looks after, and learn not to look.",
        "tests/notify/test_deliver.py::test_what_is_acknowledged_before_it_was_sent_is_not_sent",
        (
            Change(
                "services/notify/deliver.py",
                "    return alert.state.is_open and delivery.step >= alert.first_step\n",
                "    return delivery.step >= alert.first_step\n",
            ),
        ),
    ),
    Mutant(
        "an act leaves no trace",
        "Whoever reads patients without need leaves no trace, and after harm nobody can say who knew what.",
        "tests/audit/test_recording.py::test_a_response_that_is_stored_read_and_searched_leaves_three_events",
        (
            Change(
                "shared/audit/act.py",
                '    connection.execute(QUERIES["record"], {"tenant": tenant} | parameters(act, asker))\n',
                "    parameters(act, asker)\n",
            ),
        ),
    ),
    Mutant(
        "the relay waits to be called",
        "One lost announcement, and forms wait until the next one comes in.",
        "tests/shared/test_outbox.py::test_rows_that_nobody_announced_are_published_all_the_same",
        (Change("shared/relay.py", "POLL_S = 0.5\n", "POLL_S = 3600.0\n"),),
    ),
    Mutant(
        "an emergency is given up",
        "A mail server that is away for a day ends the alert of an emergency.",
        "tests/notify/test_deliver.py::test_an_emergency_message_is_never_given_up",
        (
            Change(
                "services/notify/escalation.py",
                "    return urgency != EMERGENCY and now - created_at >= SAME_DAY_GIVES_UP\n",
                "    return now - created_at >= SAME_DAY_GIVES_UP\n",
            ),
        ),
    ),
    Mutant(
        "a poison form is tried for ever",
        "A form that kills its worker is never brought to a human, and keeps the workers from everybody else's.",
        "tests/triage/test_assess_response.py::"
        "test_a_response_that_kills_its_worker_again_and_again_is_given_to_a_human",
        (
            Change(
                "shared/jobs.py",
                "        return self.attempts > MAX_ATTEMPTS + transient and self.age_s > CRASHING_S\n",
                "        return False\n",
            ),
        ),
    ),
    Mutant(
        "looking acknowledges",
        "A mail scanner opens the link, and the emergency counts as known to somebody.",
        "tests/notify/acts/test_links.py::test_looking_and_scanning_never_acknowledge",
        (
            Change(
                "services/notify/acts/links.py",
                "    with _opened(pool, token, address) as found:\n        return found[1] if found else None\n",
                "    with _opened(pool, token, address) as found:\n"
                "        if found and found[1].alert.state.absorbs:\n"
                '            accept(found[0], Actor(found[1].name or "link", None, "link").checked())\n'
                "        return found[1] if found else None\n",
            ),
        ),
    ),
    Mutant(
        "lost messages stay lost",
        "A message that the broker lost is a patient whom nobody assesses.",
        "tests/triage/test_assess_response.py::test_a_response_whose_message_was_lost_is_found_by_asking_intake",
        (
            Change(
                "shared/catch_up.py",
                "    for tenant in client.tenants_changed_since(source.resource_type, since):\n",
                "    for tenant in client.tenants_changed_since(source.resource_type, since)[:0]:\n",
            ),
        ),
    ),
    Mutant(
        "a backup of nobody",
        "After the fire the restored system is well, and has no patients.",
        "tests/journeys/test_backup.py::test_every_row_of_every_table_was_saved",
        (
            Change(
                "deploy/local/backup.py",
                'ALL_TENANTS = "-c sural.across_tenants=on"',
                'ALL_TENANTS = "-c sural.across_tenants=off"',
            ),
        ),
    ),
    Mutant(
        "a chunk finishes what another worker has",
        "Among many responses one is written by a worker that was frozen, over what another one found since.",
        "tests/triage/test_together.py::test_one_response_whose_lease_was_lost_is_left_to_whoever_has_it_now",
        (
            Change(
                "services/triage/migrations/0010_chunk.sql",
                "          AND j.state = 'running' AND j.lease_token = ours.token;",
                "          AND j.state = 'running';",
            ),
        ),
    ),
    Mutant(
        "a chunk does not hear that a lease was lost",
        "One lost lease, and all who came with it count as done and are never assessed.",
        "tests/triage/test_together.py::test_one_response_whose_lease_was_lost_is_left_to_whoever_has_it_now",
        (
            Change(
                "services/triage/store.py",
                "            raise LeaseLost\n",
                "            pass\n",
            ),
        ),
    ),
    Mutant(
        "overtaken, and yet done",
        "What a patient amended is never assessed: another worker wrote meanwhile, and the work counts as done.",
        "tests/triage/test_together.py::test_an_amended_response_that_another_worker_overtook_is_evaluated_again",
        (
            Change(
                "services/triage/store.py",
                "            raise Overtaken\n",
                "            pass\n",
            ),
        ),
    ),
    Mutant(
        "nobody waits for who writes of a patient",
        "Two workers evaluate one patient at once, neither sees the other's emergency, and the milder one stands.",
        "tests/triage/test_together.py::test_a_patient_that_another_worker_writes_of_holds_up_no_other_patient",
        (
            Change(
                "services/triage/migrations/0010_chunk.sql",
                "        SELECT pg_try_advisory_xact_lock(hashtextextended(asked.key, 0))\n",
                "        SELECT true\n",
            ),
        ),
    ),
    Mutant(
        "notify hears nothing",
        "An emergency is assessed as one, and nobody is told.",
        "tests/triage/test_together.py::test_responses_that_are_claimed_together_are_written_together",
        (
            Change(
                "services/triage/migrations/0010_chunk.sql",
                "    WHERE new.queue IS NOT NULL ORDER BY",
                "    WHERE false ORDER BY",
            ),
        ),
    ),
    Mutant(
        "one patient twice in a chunk",
        "Two forms of one patient do not see each other, and the milder one takes back the emergency of the other.",
        "tests/triage/test_together.py::test_two_responses_of_one_patient_that_are_claimed_together_see_each_other",
        (
            Change(
                "services/triage/together.py",
                "        (chunk if fits and not names & taken else others).append(case)\n",
                "        (chunk if fits else others).append(case)\n",
            ),
        ),
    ),
    Mutant(
        "a chunk jumps over an earlier version",
        "The emergency of the first version, whose message was lost, is forgotten by the milder second one.",
        "tests/triage/test_together.py::test_a_later_version_among_others_waits_for_the_one_whose_message_was_lost",
        (
            Change(
                "services/triage/together.py",
                "    return is_newer and not store.unassessed(connection, case.claimed)\n",
                "    return is_newer\n",
            ),
        ),
    ),
    Mutant(
        "an assessment leaves no trace",
        "After harm nobody can say who assessed what, and when.",
        "tests/triage/test_audit.py::test_an_assessment_is_recorded_with_the_service_that_made_it",
        (
            Change(
                "services/triage/store.py",
                "    acts = [] if tenant == WATCHDOG_TENANT else",
                "    acts = [] if tenant else",
            ),
        ),
    ),
    Mutant(
        "answered before it is stored",
        "A sender is told that an answer was taken, and deletes it; then the database cannot keep it.",
        "tests/intake/test_together.py::test_what_fails_when_it_is_committed_is_not_confirmed",
        (
            Change(
                "shared/loop_connection.py",
                "                    batch.results.append(_rows(result))\n",
                "                    batch.results.append(_rows(result))\n"
                "                    if len(batch.results) == len(batch.waiting):\n"
                "                        self._settle(batch)\n"
                "                        return\n",
            ),
        ),
    ),
    Mutant(
        "stored without a record",
        "An answer is stored, and the audit does not say who sent it.",
        "tests/intake/test_together.py::"
        "test_what_comes_together_is_stored_in_one_transaction_each_with_its_message_and_its_record",
        (
            Change(
                "services/intake/migrations/0013_create_response.sql",
                "    IF in_recorded THEN\n",
                "    IF NOT in_recorded THEN\n",
            ),
        ),
    ),
    Mutant(
        "two senders take the same message",
        "Every message goes out twice, and people learn not to look.",
        "tests/notify/test_take_message.py::"
        "test_a_message_that_another_sender_takes_at_this_moment_is_left_to_it_at_once",
        (
            Change(
                "services/notify/migrations/0026_take_safely.sql",
                "        ORDER BY j.due_at LIMIT 2 FOR UPDATE SKIP LOCKED);",
                "        ORDER BY j.due_at LIMIT 2);",
            ),
        ),
    ),
    Mutant(
        "a message is taken from whoever sends it",
        "The same: a message that is being sent just now is sent by a second one too.",
        "tests/notify/test_take_message.py::test_a_message_that_one_sender_has_taken_is_given_to_no_other",
        (
            Change(
                "services/notify/migrations/0026_take_safely.sql",
                "            OR (j.state = 'running' AND j.lease_until < now()))",
                "            OR j.state = 'running')",
            ),
        ),
    ),
    Mutant(
        "a message whose sender died",
        "An emergency that was being sent when the process died is never told.",
        "tests/notify/test_take_message.py::"
        "test_a_message_whose_sender_died_is_given_to_another_once_its_lease_is_over",
        (
            Change(
                "services/notify/migrations/0026_take_safely.sql",
                "\n            OR (j.state = 'running' AND j.lease_until < now()))",
                ")",
            ),
        ),
    ),
    Mutant(
        "a message does not wait for who acknowledges",
        "Whoever acknowledges at that moment is told once more, and a message goes out on what was true before.",
        "tests/notify/test_take_message.py::"
        "test_a_message_whose_alert_somebody_acknowledges_at_this_moment_is_not_sent_on_what_was_before",
        (
            Change(
                "services/notify/migrations/0026_take_safely.sql",
                "a.id = told.alert_id FOR SHARE SKIP LOCKED;",
                "a.id = told.alert_id;",
            ),
        ),
    ),
    Mutant(
        "a sender that lost its lease records",
        "Of a message that another one sends again it is recorded that it failed, or went out when it did not.",
        "tests/notify/test_take_message.py::test_a_sender_that_lost_its_lease_records_nothing",
        (
            Change(
                "services/notify/migrations/0023_meet_and_write.sql",
                "j.ref_id = in_delivery::text AND j.ref_version = in_step\n"
                "          AND j.state = 'running' AND j.lease_token = in_token;",
                "j.ref_id = in_delivery::text AND j.ref_version = in_step\n          AND j.state = 'running';",
            ),
        ),
    ),
    Mutant(
        "a worker that lost its lease raises an alert",
        "A worker that was frozen wakes up, and the alert that somebody closed since is opened by it again.",
        "tests/notify/test_raise_alert.py::test_a_worker_that_lost_its_lease_writes_nothing",
        (
            Change(
                "services/notify/migrations/0025_met_by_key.sql",
                "j.ref_id = in_assessment AND j.ref_version = in_version\n"
                "          AND j.state = 'running' AND j.lease_token = in_token;",
                "j.ref_id = in_assessment AND j.ref_version = in_version\n          AND j.state = 'running';",
            ),
        ),
    ),
    Mutant(
        "work taken without a lease",
        "A response whose worker dies is nobody's: it is held for ever, and never assessed.",
        "tests/shared/test_take_up.py::test_a_job_that_was_taken_at_once_is_under_a_lease_and_a_token_like_any_other",
        (
            Change(
                "shared/migrations/0020_take_up_jobs.sql",
                "CASE WHEN at_once THEN now() + make_interval(secs => in_lease_s) END",
                "CASE WHEN at_once THEN 'infinity'::timestamptz END",
            ),
        ),
    ),
    Mutant(
        "work taken before what waits",
        "While new forms keep coming, one that failed once or whose worker died waits behind all of them.",
        "tests/shared/test_take_up.py::test_what_waits_comes_before_what_a_message_names",
        (
            Change(
                "shared/migrations/0020_take_up_jobs.sql",
                "        ORDER BY due.kind, due.due_at LIMIT 1);",
                "        ORDER BY due.kind, due.due_at LIMIT 1) OR true;",
            ),
        ),
    ),
    Mutant(
        "a lease that began with the transaction",
        "Whoever waited for seconds before it took a message has it for less, and another one sends it as well.",
        "tests/notify/test_take_message.py::"
        "test_a_message_is_ours_for_as_long_whenever_the_transaction_that_takes_it_began",
        (
            Change(
                "services/notify/migrations/0026_take_safely.sql",
                "lease_until = clock_timestamp() + make_interval",
                "lease_until = now() + make_interval",
            ),
        ),
    ),
    Mutant(
        "an alert undone by its message",
        "An alert whose message cannot be taken is undone with it, again and again, and nobody hears of the emergency.",
        "tests/notify/test_outgoing.py::test_an_alert_whose_messages_cannot_be_taken_is_opened_all_the_same_and_told_later",
        (
            Change(
                "services/notify/hear.py",
                "_let_in(notify, assessment, Ending(claim.kind, claim.token)) and senders",
                "_let_in(notify, assessment, Ending(claim.kind, claim.token), senders) and senders",
            ),
        ),
    ),
)
