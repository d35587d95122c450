// What an account asks of the ledger: one signed value with one body.
//
//   transaction := genesis:hash sender:account key:public_key nonce:u64 fee:amount expiry:chain_time body:variant
//                  signature:64 bytes
//
// Its id is the hash of these bytes. To add one: a header in ledger/tx/ and a word in `Body`; codec, JSON, command line
// and the decoder's fuzzing follow from its fields().
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
#include "ledger/tx/join_validators.h"
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
#include "ledger/tx/rotate_key.h"
#include "ledger/tx/stake.h"
#include "ledger/tx/transfer.h"
#include "ledger/tx/unbond.h"
#include "ledger/tx/unstake.h"
#include "ledger/tx/withdraw_offer.h"

namespace cairn::ledger {

using Body =
    std::variant<Transfer, RotateKey, PostOffer, WithdrawOffer, Stake, Unstake, Bond, Unbond, OpenJob, CancelJob, Accept, Commit,
                 RevealSecret, CommitVerdict, AnswerCheck, RevealVerdict, Challenge, PlayMove, Reserve, Publish, ReportUndelivered,
                 ReportFork, JoinValidators, ResignValidator, LeaveJail>;

struct Transaction {
  Hash genesis;         // of the chain it is for
  AccountId sender;
  PublicKey key;        // the sender's present key; the one that names the account when it signs for the first time
  uint64_t nonce = 0;   // the account's next
  Amount fee;           // at least fee_per_byte for each byte; paid whether or not the body succeeds
  ChainTime expiry{};   // of no use from here on
  Body body;
  Signature signature;  // over all the fields before it

  static constexpr auto fields() {
    return std::tuple{field("genesis", &Transaction::genesis), field("sender", &Transaction::sender),
                      field("key", &Transaction::key),         field("nonce", &Transaction::nonce),
                      field("fee", &Transaction::fee),         field("expiry", &Transaction::expiry),
                      field("body", &Transaction::body),       field("signature", &Transaction::signature)};
  }
};

inline constexpr size_t kMaxTransactionBytes = 2u << 20;

// "transfer", "open_job", ...
std::string_view name(const Body& body);

TransactionId transaction_id(ByteSpan encoded);
TransactionId transaction_id(const Transaction& transaction);

// Bytes that the signature covers: the encoding without its last 64 bytes.
Bytes signed_bytes(const Transaction& transaction);

// Fills key, fee (when it is 0: the least that `fee_per_byte` asks for) and signature. The other fields stand already.
void sign(Transaction& transaction, const SecretKey& key, uint64_t fee_per_byte);

// Checks that need no state, in this order: wrong_chain, bad_signature.
Result<> check_signature(const Transaction& transaction, const Hash& genesis);

}  // namespace cairn::ledger
