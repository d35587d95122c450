// What an account asks of the ledger: one signed value with one body.
//
//   transaction := genesis:hash sender:account by:u8 nonce:u64 fee:amount expiry:chain_time founding:optional key_set
//                  body:variant signatures:vector of (public_key, 64 bytes)
//
// Its id is the hash of these bytes. Whether the signatures cover them is checked without the state, and beside it; whether
// the account's keys, or a hot key, ask for these signatures is judged in the block that holds it (R9).
// To add one: a header in ledger/tx/ and a word in `Body`; codec, JSON and the decoder's fuzzing follow from its fields().
#pragma once

#include <variant>

#include "base/keys.h"
#include "ledger/records.h"
#include "ledger/tx/accept.h"
#include "ledger/tx/answer_check.h"
#include "ledger/tx/bond.h"
#include "ledger/tx/cancel_job.h"
#include "ledger/tx/challenge.h"
#include "ledger/tx/commit.h"
#include "ledger/tx/commit_verdict.h"
#include "ledger/tx/consent.h"
#include "ledger/tx/grant_key.h"
#include "ledger/tx/join_validators.h"
#include "ledger/tx/judge.h"
#include "ledger/tx/leave_jail.h"
#include "ledger/tx/open_job.h"
#include "ledger/tx/play_move.h"
#include "ledger/tx/post_offer.h"
#include "ledger/tx/publish.h"
#include "ledger/tx/report_fork.h"
#include "ledger/tx/report_undelivered.h"
#include "ledger/tx/reserve.h"
#include "ledger/tx/resign_validator.h"
#include "ledger/tx/reveal_secret.h"
#include "ledger/tx/reveal_verdict.h"
#include "ledger/tx/revoke_key.h"
#include "ledger/tx/rotate_key.h"
#include "ledger/tx/stake.h"
#include "ledger/tx/transfer.h"
#include "ledger/tx/unbond.h"
#include "ledger/tx/unstake.h"
#include "ledger/tx/upgrade.h"
#include "ledger/tx/withdraw_offer.h"

namespace cairn::ledger {

using Body =
    std::variant<Transfer, RotateKey, PostOffer, WithdrawOffer, Stake, Unstake, Bond, Unbond, OpenJob, CancelJob, Accept, Commit,
                 RevealSecret, CommitVerdict, AnswerCheck, RevealVerdict, Challenge, PlayMove, Reserve, Publish, ReportUndelivered,
                 ReportFork, GrantKey, RevokeKey, Upgrade, Judge, Consent, JoinValidators, ResignValidator, LeaveJail>;

enum class SignedBy : uint8_t { account = 1, hot_key = 2 };
constexpr bool is_valid(SignedBy s) { return s == SignedBy::account || s == SignedBy::hot_key; }
constexpr std::string_view name(SignedBy s) { return s == SignedBy::account ? "account" : "hot_key"; }

struct KeySignature {
  PublicKey key;
  Signature signature;
  static constexpr auto fields() { return std::tuple{field("key", &KeySignature::key), field("signature", &KeySignature::signature)}; }
};

struct Transaction {
  Hash genesis;         // of the chain it is for
  AccountId sender;
  SignedBy by = SignedBy::account;
  uint64_t nonce = 0;   // the next of the account, or of the hot key: see Signer
  Amount fee;           // at least fee_per_byte for each byte; paid whether or not the body succeeds
  ChainTime expiry{};   // of no use from here on
  std::optional<KeySet> founding;        // the keys that name the sender, while the state holds none; not needed for one key
  Body body;
  std::vector<KeySignature> signatures;  // in ascending order of keys, over all the fields before them

  static constexpr auto fields() {
    using T = Transaction;
    return std::tuple{field("genesis", &T::genesis),   field("sender", &T::sender),     field("by", &T::by),
                      field("nonce", &T::nonce),       field("fee", &T::fee),           field("expiry", &T::expiry),
                      field("founding", &T::founding), field("body", &T::body),         field("signatures", &T::signatures)};
  }
};

inline constexpr size_t kMaxTransactionBytes = 2u << 20;

// "transfer", "open_job", ...
std::string_view name(const Body& body);

TransactionId transaction_id(ByteSpan encoded);
TransactionId transaction_id(const Transaction& transaction);

// Whose nonce counts.
Signer signer_of(const Transaction& transaction);

// Bytes that the signatures cover: the encoding of the fields before them.
Bytes signed_bytes(const Transaction& transaction);

// Sets the fee, when it is 0, to the least that `fee_per_byte` asks for with so many signatures.
void set_fee(Transaction& transaction, uint64_t fee_per_byte, size_t signatures);
// One key alone: fills fee (when it is 0) and signature. The other fields stand already.
void sign(Transaction& transaction, const SecretKey& key, uint64_t fee_per_byte);
// One key among several: adds its signature, or makes it anew. All the other fields, the fee too, stand already.
void co_sign(Transaction& transaction, const SecretKey& key);

// Checks that need no state, in this order: wrong_chain, bad_signature. Cost: one verification a signature, 16 at most.
Result<> check_signature(const Transaction& transaction, const Hash& genesis);

}  // namespace cairn::ledger

CODEC_ELSEWHERE(ledger::Transaction)
