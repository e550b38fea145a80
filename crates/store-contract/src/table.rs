//! The cases, each named once.

/// Hands the table of all cases, by file, to the macro `callback`, after the `arguments`.
#[doc(hidden)]
#[macro_export]
macro_rules! __contract_table {
    ({ $($callback:tt)* } $($arguments:tt)*) => {
        $($callback)*! {
            { $($arguments)* }
            customers {
                a_customer_is_found_by_its_id
                a_customer_is_found_by_its_external_id
                results_are_in_the_order_of_the_keys_and_missing_ones_are_none
                a_repeated_key_is_answered_each_time
                keys_of_several_tenants_are_answered_together
                no_keys_find_nothing
                three_hundred_keys_are_answered_at_once
                customers_are_found_in_the_requested_state_only
                an_archived_customer_is_found_and_keeps_its_identifiers
                only_live_customers_are_found_by_external_id_in_any_state
                another_tenant_never_sees_a_customer
                a_write_reaches_no_other_tenant
                an_external_id_may_hold_anything_and_is_compared_byte_by_byte
                an_external_id_belongs_to_one_live_customer_of_a_tenant
                an_email_address_in_any_spelling_belongs_to_one_live_customer
                identifiers_are_free_again_once_their_customer_is_deleted
                identifiers_are_free_in_every_other_tenant
                customers_without_identifiers_never_conflict
                a_shared_email_address_may_be_in_use_already
                a_shared_email_address_cannot_be_claimed_exclusively
                of_several_holders_the_exclusive_or_else_the_oldest_one_is_named
                an_external_id_is_never_shared
                both_holders_of_claimed_identifiers_are_named
                one_customer_may_hold_both_claimed_identifiers
                only_what_is_claimed_is_reported_as_taken
                a_customer_never_conflicts_with_itself
                an_id_that_exists_is_never_overwritten
                a_deleted_customer_is_not_found_and_claims_nothing
                a_change_is_stored_and_affects_no_other_customer
                a_change_may_claim_what_is_free
                a_change_frees_what_it_gives_up
                a_change_that_claims_what_is_in_use_is_refused
                a_change_may_share_an_address_that_others_have
                a_change_that_keeps_an_address_keeps_how_it_is_used
                an_exclusive_address_stays_exclusive_after_a_change
                a_write_to_a_missing_customer_is_stale
                a_write_to_a_deleted_customer_is_stale
                a_write_with_a_stale_version_stores_nothing
                stale_is_reported_before_taken
                claims_of_a_change_are_those_of_its_tenant
            }
            batches {
                an_empty_batch_has_no_results
                a_refused_write_does_not_affect_the_others_of_its_batch
                results_are_in_the_order_of_the_batch_whatever_its_keys
                claims_within_a_batch_are_decided_one_after_the_other
                shared_addresses_within_a_batch_depend_on_its_order
                five_hundred_customers_fit_in_one_batch
                a_customer_of_no_merchant_fails_its_whole_batch
                several_writes_to_one_customer_fit_in_one_batch
                of_several_changes_of_one_version_in_a_batch_the_first_is_done
                a_write_after_a_refused_one_of_its_customer_is_stale
                a_deletion_frees_identifiers_for_later_writes_of_its_batch
                a_change_frees_identifiers_for_later_writes_of_its_batch
                two_customers_may_swap_identifiers_in_one_batch
                a_holder_is_named_beside_changes_that_keep_its_identifiers
                a_batch_may_mix_writes_of_several_tenants
                three_hundred_mixed_writes_fit_in_one_batch
                a_batch_does_what_its_writes_do_one_by_one
            }
            fidelity {
                every_column_comes_back_when_all_are_set
                every_column_comes_back_when_none_is_set
                every_column_comes_back_in_a_batch_of_all_kinds
                every_column_is_written_by_a_change
                every_column_of_a_deleted_customer_comes_back
                an_empty_text_is_not_an_absent_one
                quotes_backslashes_and_every_script_come_back
                the_longest_values_come_back
                metadata_comes_back_to_the_last_digit
                control_characters_in_metadata_come_back
                metadata_keeps_the_order_of_its_keys
                metadata_of_many_keys_comes_back
                a_time_comes_back_to_the_millisecond
                a_version_is_a_large_number
                an_id_of_any_bits_comes_back
                an_address_keeps_its_spelling_and_is_compared_by_its_golden_key
                the_golden_keys_tell_the_addresses_of_one_batch_apart
            }
            pages {
                a_list_is_newest_first
                a_page_has_at_most_its_limit
                the_list_of_a_tenant_without_customers_is_empty
                pages_of_any_size_make_up_the_whole_list
                a_list_of_twelve_hundred_is_walked_to_its_end
                a_page_continues_after_a_customer_that_is_gone
                deleted_customers_take_no_room_on_a_page
                a_walk_has_no_gaps_or_repeats_while_customers_come_and_go
                a_customer_deleted_before_the_walk_arrives_is_not_seen
                pages_in_any_state_make_up_the_whole_list
                an_offset_skips_customers_of_the_list
                a_walk_in_any_state_continues_after_a_customer_deleted_meanwhile
                a_filtered_list_has_what_the_filter_includes_and_nothing_else
            }
            filters {
                every_combination_of_filters_lists_what_it_includes_in_both_orders
                several_pages_at_once_are_as_if_each_was_read_by_itself
                a_list_by_creation_continues_between_customers_of_one_moment
                a_count_is_exact_up_to_its_limit
                a_customer_is_found_by_its_texts_as_they_are_stored_at_the_moment
                what_more_customers_have_than_a_page_looks_at_is_found_page_by_page
            }
            races {
                one_external_id_goes_to_exactly_one_of_many_callers
                one_email_address_in_many_spellings_goes_to_exactly_one_caller
                one_external_id_goes_to_exactly_one_of_many_transactions
                one_external_id_in_many_tenants_goes_to_one_of_each
                an_address_is_not_taken_exclusively_once_it_is_shared
                a_released_identifier_goes_to_at_most_one_of_many_callers
                identifiers_of_a_deleted_customer_go_to_exactly_one_caller
                a_customer_is_deleted_by_exactly_one_of_many_callers
                a_version_is_changed_by_exactly_one_of_many_callers
                sixteen_changes_of_one_customer_at_once_all_happen
                a_transaction_that_has_found_a_customer_always_changes_it
                changes_of_one_customer_are_made_one_after_the_other
                changes_of_different_fields_at_once_lose_nothing
                a_change_that_races_a_deletion_comes_before_it_or_is_stale
                of_two_first_reports_of_a_subscription_exactly_one_is_done
                a_report_that_races_a_change_comes_before_it_or_is_stale
                an_address_that_many_customers_change_to_goes_to_exactly_one
                an_external_id_of_changes_and_creations_goes_to_exactly_one
                batches_in_opposite_orders_do_not_block_each_other
                batches_of_changes_in_opposite_orders_do_not_block_each_other
                batches_with_identifiers_in_opposite_orders_both_succeed
                transactions_that_write_in_opposite_orders_both_succeed
                a_transaction_is_seen_whole_or_not_at_all
                an_acknowledged_write_is_seen_by_every_caller
            }
            imports {
                an_import_comes_back_as_it_was_written
                imports_are_listed_newest_first_and_are_their_tenants_alone
                older_imports_are_forgotten
                an_import_without_a_merchant_is_refused
                an_import_is_undone_with_its_transaction
                of_two_processes_at_one_batch_the_second_sees_what_the_first_did
            }
            uploads {
                an_upload_comes_back_as_it_was_written
                a_tenant_has_one_upload_that_has_not_ended
                pages_of_uploads_are_newest_first_and_make_up_the_whole_list
                of_many_callers_one_inserts_an_upload
                uploads_are_their_tenants_alone
                parts_come_back_and_go_with_their_kind_or_their_upload
                older_uploads_that_have_ended_are_forgotten
            }
            snapshots {
                a_snapshot_shows_what_was_stored_when_it_began
                what_a_snapshot_writes_is_not_kept
                an_error_in_a_snapshot_is_returned_and_the_next_works
            }
            secrets {
                a_secret_is_made_once_and_kept
                all_callers_that_make_a_secret_at_once_get_the_same
            }
            subscriptions {
                a_subscription_comes_back_as_it_was_reported
                a_later_report_replaces_an_earlier_one
                a_report_leaves_its_customer_as_it_was
                a_subscription_belongs_to_one_customer_of_one_tenant
                another_tenant_never_sees_a_subscription
                customers_are_found_with_a_subscription_in_the_order_of_the_keys
                three_hundred_subscriptions_are_found_at_once
                a_report_with_a_stale_subscription_version_is_stale
                a_report_of_a_changed_customer_is_stale
                a_report_of_a_deleted_customer_is_stale
                a_report_of_a_missing_customer_is_stale
                several_reports_of_one_subscription_fit_in_one_batch
                reports_fit_in_one_batch_with_other_writes
                a_customer_and_its_subscriptions_may_be_written_in_one_batch
                subscriptions_are_listed_by_start_and_then_by_the_bytes_of_their_id
                pages_of_subscriptions_of_any_size_make_up_the_whole_list
                a_page_of_subscriptions_continues_after_one_that_moved
                the_current_subscription_is_the_active_one_that_started_last
                the_current_subscription_is_active_or_trialing
                of_subscriptions_that_started_together_the_greatest_id_is_current
                current_subscriptions_are_in_the_order_of_the_customers
                several_tenants_each_see_their_own_current_subscriptions
            }
            replies {
                a_reply_is_saved_with_every_kind_of_write
                a_reply_comes_back_as_it_was_saved
                replies_are_found_in_the_order_of_the_keys_and_missing_ones_are_none
                three_hundred_replies_are_saved_and_found_at_once
                a_write_whose_key_has_a_reply_is_stale_and_leaves_nothing
                a_key_with_a_reply_is_reported_before_taken
                a_refused_write_saves_no_reply
                of_writes_with_one_key_in_a_batch_the_first_that_succeeds_is_done
                a_write_with_a_used_key_does_not_affect_the_others_of_its_batch
                a_later_write_sees_that_one_with_a_used_key_was_not_made
                a_reply_is_saved_alone_unless_its_key_has_one
                a_reply_that_has_expired_counts_as_absent
                a_refused_write_with_an_expired_key_leaves_none
                one_key_of_several_tenants_is_a_key_of_each
                a_reply_is_undone_with_its_transaction
                expired_replies_of_some_tenants_are_found_and_deleted
                the_replies_of_a_customer_are_listed_page_by_page
                one_key_goes_to_exactly_one_of_many_callers
                one_key_and_one_external_id_go_to_exactly_one_of_many_callers
                one_key_goes_to_a_write_or_to_a_reply_alone
                batches_with_keys_in_opposite_orders_do_not_block_each_other
            }
            events {
                every_write_makes_one_event_that_says_what_it_did
                an_event_comes_back_as_it_was_made
                a_refused_write_makes_no_event_and_no_gap
                old_events_are_deleted_and_the_numbers_go_on
                the_events_of_a_batch_of_several_tenants_are_in_its_order
                a_log_is_read_from_both_ends_by_customer_and_by_type
                the_first_event_at_or_after_each_time_is_found
                lower_bounds_in_a_long_log_agree_with_a_walk_through_it
                lower_bounds_never_descend_where_clocks_differ
                another_tenant_never_sees_an_event
                the_events_of_a_transaction_are_kept_or_undone_with_it
                a_write_with_a_reply_makes_one_event_and_its_repeat_makes_none
                the_changes_of_a_customer_make_up_the_customer_as_it_stands
                many_writers_at_once_leave_no_gap_and_readers_see_no_event_late
            }
            webhooks {
                an_endpoint_comes_back_as_it_was_made
                a_change_of_an_endpoint_is_stored_and_leaves_its_deliveries_alone
                pages_of_endpoints_are_oldest_first_and_make_up_the_whole_list
                an_endpoint_is_its_tenants_alone
                an_endpoint_without_a_merchant_is_refused
                an_endpoint_is_leased_if_its_log_goes_on_or_a_lane_is_due
                a_disabled_endpoint_is_not_leased
                the_endpoints_that_have_waited_longest_are_leased_first
                each_lease_goes_to_exactly_one_of_many_callers
                a_lease_that_was_lost_records_nothing
                a_lease_is_extended_and_given_back
                what_a_worker_records_comes_back
                a_lane_is_replaced_and_closed_by_its_key
                a_failing_endpoint_is_disabled_unless_its_owner_was_faster
                a_cursor_is_set_back_with_the_lanes_behind_it_and_ends_the_lease
                an_event_is_sent_again_in_a_lane_of_its_own
                records_and_changes_at_once_lose_nothing
                a_deletion_takes_lanes_and_attempts_and_refuses_what_comes_late
                pages_of_attempts_are_newest_first_and_make_up_the_whole_log
                old_attempts_and_those_beyond_a_number_are_found_and_deleted
                many_workers_at_once_skip_no_event
            }
            merchants {
                a_merchant_comes_back_as_it_was_made
                an_unknown_merchant_is_not_found
                merchants_may_have_the_same_name
                the_id_of_a_merchant_is_unique
                pages_of_merchants_are_oldest_first_and_make_up_the_whole_list
                merchants_are_found_by_part_of_their_names
                an_update_writes_name_and_disabling_of_one_merchant_only
            }
            operators {
                an_operator_comes_back_as_it_was_made
                the_id_and_the_digest_of_an_operator_are_unique
                pages_of_operators_are_oldest_first_and_make_up_the_whole_list
                an_operator_is_revoked_once
                an_entry_of_the_log_comes_back_as_it_was_made
                pages_of_the_log_are_newest_first_and_make_up_the_whole_log
                old_entries_are_deleted_oldest_first_and_at_most_so_many
            }
            api_keys {
                a_key_comes_back_as_it_was_made
                keys_are_found_in_the_order_of_the_digests_and_missing_ones_are_none
                three_hundred_digests_are_answered_at_once
                the_id_and_the_digest_of_a_key_are_unique
                a_key_of_no_merchant_is_refused
                pages_of_keys_are_oldest_first_and_make_up_a_tenant_s_list
                the_list_of_a_tenant_without_keys_is_empty
                the_tenant_of_a_key_is_found_by_its_id_alone
                only_its_own_tenant_locks_a_key
                an_update_writes_expiry_revocation_and_successor_of_one_key_only
                of_many_transactions_that_lock_a_key_one_finds_it_without_a_successor
                a_use_is_written_once_a_minute
            }
            transactions {
                a_store_that_is_there_answers_a_ping
                work_that_succeeds_is_kept_whole
                work_that_fails_is_undone_whole
                a_rollback_is_no_error
                changes_and_deletions_are_undone_too
                a_transaction_sees_what_it_wrote
                a_transaction_works_on_what_it_wrote
                an_external_id_may_move_between_customers_in_one_transaction
                after_an_error_a_transaction_is_spent_and_nothing_is_kept
                after_an_error_direct_work_is_spent_and_earlier_writes_stay
                the_first_error_is_reported_whatever_the_work_returns
                a_store_works_as_before_after_many_errors
                direct_writes_stay_whatever_the_work_returns
                a_transaction_that_loses_every_race_is_tried_a_few_times
                a_retried_transaction_keeps_nothing_of_the_tries_before
                only_a_lost_race_is_tried_again
                direct_work_is_never_tried_again
                work_that_panics_keeps_nothing_and_the_store_goes_on
            }
        }
    };
}

/// Makes the cases that the table names public; their modules are private.
macro_rules! publish {
    ({} $($file:ident { $($case:ident)* })*) => {
        /// The cases, by file.
        #[expect(missing_docs, reason = "the name of a case says what it tests")]
        pub mod cases {
            $(pub mod $file {
                $(
                    pub fn $case(subject: &crate::Subject) {
                        // The parameter of the case says which store of the subject it takes.
                        crate::$file::$case(subject.into());
                    }
                )*
            })*
        }
    };
}

__contract_table!({ publish });

/// Writes one `#[test]` per case, in a module per file. `$make` names a function beside it that makes an empty store:
/// `fn() -> Subject` or `fn() -> Option<Subject>`.
#[macro_export]
macro_rules! store_contract_tests {
    ($make:ident) => {
        $crate::__contract_table!({ $crate::__contract_tests } $make);
    };
}

/// Writes the tests of [`store_contract_tests!`].
#[doc(hidden)]
#[macro_export]
macro_rules! __contract_tests {
    ({ $make:ident } $($file:ident { $($case:ident)* })*) => {
        $(mod $file {
            $(
                #[test]
                fn $case() {
                    $crate::run(super::$make, $crate::cases::$file::$case);
                }
            )*
        })*
    };
}
