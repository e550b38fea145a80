//! The cases, each named once.

/// Hands the table of all cases, by file, to the macro `callback`, behind the `arguments`.
#[doc(hidden)]
#[macro_export]
macro_rules! __contract_table {
    ({ $($callback:tt)* } $($arguments:tt)*) => {
        $($callback)*! {
            { $($arguments)* }
            customers {
                a_customer_is_found_by_its_id
                a_customer_is_found_by_its_external_id
                answers_stand_in_the_order_of_the_keys_and_missing_ones_are_none
                a_key_that_stands_twice_is_answered_twice
                keys_of_several_tenants_are_answered_together
                no_keys_find_nobody
                three_hundred_keys_are_answered_at_once
                another_tenant_never_sees_a_customer
                an_update_reaches_no_other_tenant
                an_external_id_may_hold_anything_and_is_compared_byte_by_byte
                an_external_id_belongs_to_one_live_customer_of_a_tenant
                an_email_address_belongs_to_one_live_customer_of_a_tenant_in_any_spelling
                identifiers_are_free_again_once_their_customer_is_deleted
                identifiers_are_free_in_every_other_tenant
                customers_with_no_identifiers_are_never_in_the_way
                a_shared_email_address_is_taken_whoever_has_it
                a_shared_email_address_cannot_be_taken_for_oneself
                an_external_id_is_never_shared
                all_who_stand_in_the_way_are_named
                one_customer_may_stand_in_the_way_twice
                an_empty_batch_has_no_results
                one_refused_customer_of_a_batch_does_not_hurt_the_others
                results_stand_in_the_order_of_the_batch_whatever_the_order_of_its_keys
                namesakes_within_a_batch_fare_as_if_inserted_one_after_the_other
                sharing_within_a_batch_goes_by_the_order_of_the_batch
                five_hundred_customers_fit_in_one_batch
                an_id_that_is_there_is_never_overwritten
                a_free_insert_says_of_each_whether_it_is_there_now
                a_customer_of_no_merchant_is_refused
                nobody_stands_in_their_own_way
                who_claims_nothing_is_in_nobody_s_way
                a_deleted_customer_is_nowhere
                a_live_customer_is_locked_by_either_key
                a_change_is_there_and_touches_nobody_else
                a_change_may_claim_what_is_free
                a_change_frees_what_it_gives_up
                a_change_that_claims_what_others_have_is_a_lost_race
                a_change_may_share_an_address_that_others_have
                whoever_keeps_an_address_keeps_how_it_is_used
                who_held_an_address_alone_keeps_others_off_after_a_change
                a_change_of_a_customer_that_is_not_there_is_a_lost_race
                claims_in_a_change_are_those_of_its_tenant
            }
            fidelity {
                every_column_comes_back_when_all_are_set
                every_column_comes_back_when_none_is_set
                every_column_comes_back_in_a_batch_of_all_kinds
                every_column_is_written_by_a_change
                an_empty_text_is_not_an_absent_one
                quotes_backslashes_and_every_script_come_back
                the_longest_values_come_back
                metadata_comes_back_to_the_last_digit
                control_characters_in_metadata_come_back
                the_order_of_keys_makes_no_difference_to_metadata
                metadata_of_many_keys_comes_back
                a_time_comes_back_to_the_millisecond
                a_version_is_a_large_number
                an_id_of_any_bits_comes_back
                an_address_keeps_its_spelling_and_is_known_by_its_golden_key
                the_golden_keys_tell_the_addresses_of_one_batch_apart
            }
            pages {
                a_list_stands_newest_first
                a_page_has_at_most_its_limit
                the_list_of_a_tenant_without_customers_is_empty
                pages_of_any_size_make_up_the_whole_list
                a_list_of_twelve_hundred_is_walked_to_its_end
                a_page_goes_on_behind_a_customer_that_is_gone
                the_deleted_take_no_room_on_a_page
                a_walk_has_neither_gaps_nor_repeats_while_customers_come_and_go
                who_goes_before_the_walk_arrives_is_not_seen
            }
            races {
                one_external_id_goes_to_exactly_one_of_many_callers
                one_email_address_in_many_spellings_goes_to_exactly_one_of_many_callers
                one_external_id_goes_to_exactly_one_of_many_transactions
                one_external_id_in_many_tenants_goes_to_one_of_each
                nobody_has_an_address_alone_once_somebody_shares_it
                an_identifier_that_is_given_up_goes_to_at_most_one_of_many_callers
                identifiers_of_a_deleted_customer_go_to_exactly_one_of_many_callers
                a_customer_is_deleted_by_exactly_one_of_many_callers
                changes_of_one_customer_are_made_one_after_the_other
                an_address_that_many_customers_change_to_goes_to_exactly_one
                an_external_id_that_some_change_to_and_others_register_goes_to_exactly_one
                batches_in_opposite_orders_do_not_stop_each_other
                batches_whose_two_identifiers_stand_in_opposite_orders_do_not_stop_each_other
                transactions_that_lock_in_opposite_orders_both_succeed
                a_transaction_is_seen_whole_or_not_at_all
                what_was_acknowledged_is_seen_by_everybody
            }
            subscriptions {
                a_subscription_comes_back_as_it_was_told
                what_is_told_later_takes_the_place_of_what_was_told_before
                a_subscription_belongs_to_one_customer_of_one_tenant
                another_tenant_never_sees_a_subscription
                a_subscription_of_nobody_is_refused
                subscriptions_stand_last_started_first_and_by_their_bytes_when_started_together
                pages_of_subscriptions_of_any_size_make_up_the_whole_list
                a_page_of_subscriptions_goes_on_behind_one_that_moved
                the_current_subscription_is_the_active_one_that_started_last
                of_subscriptions_that_started_together_the_greatest_id_is_current
                current_subscriptions_stand_in_the_order_of_the_customers
                of_several_tenants_each_sees_its_own_current_subscriptions
            }
            merchants {
                a_merchant_comes_back_as_it_was_made
                an_unknown_merchant_is_not_found
                merchants_may_have_the_same_name
                a_merchant_s_id_is_taken_once
                pages_of_merchants_stand_oldest_first_and_make_up_the_whole_list
            }
            api_keys {
                a_key_comes_back_as_it_was_made
                keys_stand_in_the_order_of_the_digests_and_missing_ones_are_none
                three_hundred_digests_are_answered_at_once
                a_key_s_id_and_digest_are_taken_once
                a_key_of_no_merchant_is_refused
                pages_of_keys_stand_oldest_first_and_make_up_a_tenant_s_list
                the_list_of_a_tenant_without_keys_is_empty
                whose_a_key_is_can_be_asked_by_its_id_alone
                only_its_own_tenant_locks_a_key
                an_update_writes_the_end_of_one_key_and_nothing_else
                a_use_is_written_once_a_minute
            }
            transactions {
                the_store_gives_a_sign_of_life
                work_that_succeeds_is_kept_whole
                work_that_fails_is_undone_whole
                a_rollback_is_no_error
                changes_and_deletions_are_undone_too
                a_transaction_sees_what_it_wrote
                a_transaction_works_on_what_it_wrote
                an_external_id_may_pass_from_one_to_another_in_one_transaction
                after_an_error_a_transaction_is_spent_and_nothing_is_kept
                direct_work_is_spent_after_an_error_and_what_it_wrote_before_stays
                the_first_error_is_the_one_that_is_told_whatever_the_work_makes_of_it
                an_error_leaves_the_store_as_good_as_before
                what_direct_work_wrote_stays_whatever_the_work_says
                a_transaction_that_loses_every_race_is_tried_a_few_times
                a_transaction_that_wins_at_last_keeps_nothing_of_the_tries_before
                only_a_lost_race_is_tried_again
                direct_work_is_never_tried_again
                work_that_panics_keeps_nothing_and_harms_nobody_else
            }
        }
    };
}

/// Lets the cases that the table names out of their private modules.
macro_rules! publish {
    ({} $($file:ident { $($case:ident)* })*) => {
        /// The cases, by file.
        #[expect(missing_docs, reason = "a case is named as the sentence it stands for")]
        pub mod cases {
            $(pub mod $file {
                $(
                    pub fn $case(store: &::std::sync::Arc<dyn ::roster_application::ports::Store>) {
                        crate::$file::$case(store);
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
